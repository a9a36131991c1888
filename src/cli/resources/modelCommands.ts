/** `xim models`: a project's own, the catalogue's, and digests that shared agents may serve. */
import type { ModelAnswer, ModelApprovalAnswer } from '../../api/control/models.ts';
import type { Command } from '../command.ts';
import { ago, fieldTable, sizeText } from '../textTable.ts';
import type { BodyFields } from './bodyFields.ts';
import { textRow } from './optionRows.ts';
import type { Reference } from './reference.ts';
import { changing, listing, showing, type Field, type Operand } from './resourceCommand.ts';

export const modelRef: Reference<ModelAnswer> = {
  what: 'model',
  list: '/models',
  topic: 'models',
  paged: true,
  idOf: (model) => model.id,
  nameOf: (model) => model.name,
};
const operand: Operand = { name: 'MODEL', reference: modelRef as Reference<never> };
/** A project may look at the catalogue's, and no more. */
const ownRef: Reference<ModelAnswer> = {
  ...modelRef,
  ofPlatform: (model) => model.ownership === 'catalogue',
};
const ownOperand: Operand = { name: 'MODEL', reference: ownRef as Reference<never> };
const path = '/models/{}';

const source = {
  row: textRow({
    flag: 'source',
    placeholder: 'SOURCE',
    help: 'hf:REPO[:FILE], https://…, or file:/PATH on the agent’s machine.',
  }),
  member: 'source',
} as const;

const settings: BodyFields = {
  format: {
    row: {
      type: 'choice',
      flag: 'format',
      choices: ['gguf', 'safetensors'],
      default: undefined,
      help: 'By default what the source’s name ends in.',
    },
    member: 'format',
  },
  task: {
    row: {
      type: 'choice',
      flag: 'task',
      choices: ['generate', 'embed', 'score'],
      default: undefined,
      help: 'What it does; by default generate.',
    },
    member: 'task',
  },
  size: {
    row: {
      type: 'size',
      flag: 'size',
      default: undefined,
      min: 1,
      placeholder: 'SIZE',
      help: 'Of its file, e.g. 4.7GB; checked against what a tier allows.',
    },
    member: 'size_bytes',
    unset: null,
  },
  sha256: {
    row: textRow({
      flag: 'sha256',
      placeholder: 'HEX',
      help: 'Of its file; another one is never served.',
    }),
    member: 'sha256',
    unset: null,
  },
  contextLength: {
    row: {
      type: 'integer',
      flag: 'context-length',
      default: undefined,
      min: 1,
      placeholder: 'N',
      help: 'Tokens; by default as the engine finds it.',
    },
    member: 'context_length',
    unset: null,
  },
};

function show(model: ModelAnswer, nowMs: number): Field[] {
  return [
    ['name', model.name],
    ['id', model.id],
    ['of', model.ownership === 'project' ? 'the project' : 'the catalogue'],
    ['source', model.source],
    ['format', model.format],
    ['task', model.task],
    ['size', sizeText(model.size_bytes)],
    ['sha256', model.sha256],
    ['context', model.context_length === null ? null : `${model.context_length} tokens`],
    ['shared agents', model.open_to_shared ? 'may serve it' : 'may not serve it'],
    ['changed', ago(model.updated_at, nowMs)],
    ['version', String(model.version)],
  ];
}

const say = (model: ModelAnswer, { nowMs }: { nowMs: number }): string =>
  fieldTable(show(model, nowMs));

const approvals: readonly Command[] = [
  listing<ModelApprovalAnswer>({
    words: ['models', 'approvals'],
    summary: 'List the digests of projects’ models that shared agents may serve; for operators',
    scope: 'platform',
    path: '/model-approvals',
    head: ['SHA256', 'NOTE', 'BY', 'SINCE'],
    row: (one, nowMs) => [one.sha256, one.note, one.approved_by, ago(one.created_at, nowMs)],
    empty: 'No approvals. Make one with: xim models approve SHA256',
  }),
  changing<ModelApprovalAnswer>({
    words: ['models', 'approve'],
    summary: 'Let shared agents serve models of a digest; for operators',
    scope: 'platform',
    method: 'POST',
    creates: true,
    path: '/model-approvals',
    operands: [{ name: 'SHA256', member: 'sha256' }],
    fields: {
      note: {
        row: textRow({ flag: 'note', placeholder: 'TEXT', help: 'Why, for others to read.' }),
        member: 'note',
      },
    },
    say: ({ sha256 }) => `Shared agents may serve ${sha256}.\n`,
  }),
  changing<{ sha256: string }>({
    words: ['models', 'withdraw'],
    summary: 'Take an approval back; for operators',
    scope: 'platform',
    method: 'DELETE',
    path: '/model-approvals/{}',
    operands: [{ name: 'SHA256' }],
    say: ({ sha256 }) => `Shared agents may not serve ${sha256} any more.\n`,
  }),
];

export const modelCommands: readonly Command[] = [
  listing<ModelAnswer>({
    words: ['models', 'list'],
    summary: 'List the models that the project’s endpoints may use',
    scope: 'either',
    path: '/models',
    fields: {
      ownership: {
        row: {
          type: 'choice',
          flag: 'of',
          choices: ['project', 'catalogue'],
          default: undefined,
          help: 'Only the project’s own, or only the catalogue’s.',
        },
        member: 'ownership',
      },
    },
    head: ['NAME', 'OF', 'TASK', 'FORMAT', 'SIZE', 'SOURCE', 'ID'],
    row: (model) => [
      model.name,
      model.ownership,
      model.task,
      model.format,
      sizeText(model.size_bytes),
      model.source,
      model.id,
    ],
    empty: 'No models. Register one with: xim models create NAME --source SOURCE',
  }),
  showing<ModelAnswer>({
    words: ['models', 'show'],
    summary: 'Show a model',
    scope: 'either',
    path,
    operands: [operand],
    show,
  }),
  changing<ModelAnswer>({
    words: ['models', 'create'],
    summary: 'Register a model',
    scope: 'either',
    method: 'POST',
    creates: true,
    path: '/models',
    operands: [{ name: 'NAME', member: 'name' }],
    fields: { source: { ...source, required: true }, ...settings },
    say,
  }),
  changing<ModelAnswer>({
    words: ['models', 'set'],
    summary: 'Change a model; with another source, agents fetch it anew',
    scope: 'either',
    method: 'PATCH',
    versioned: true,
    path,
    operands: [ownOperand],
    fields: {
      name: {
        row: textRow({ flag: 'name', placeholder: 'NAME', help: 'What people see.' }),
        member: 'name',
      },
      source,
      ...settings,
    },
    say,
  }),
  changing<{ id: string }>({
    words: ['models', 'delete'],
    summary: 'Delete a model that no endpoint uses',
    scope: 'either',
    method: 'DELETE',
    path,
    operands: [ownOperand],
    confirm: ([name]) => `Delete the model ${name}?`,
    say: (_, { operands: [name] }) => `${name} is deleted.\n`,
  }),
  ...approvals,
];
