/**
 * Use-cases are functions of what they stand on and of one input; a topic lists its own by the name
 * under which `Control` has them.
 */

type UseCase<Parts> = (parts: Parts, input: never) => unknown;

/** The use-cases of a topic with what they stand on filled in. */
export type Bound<Topic> = {
  [Name in keyof Topic]: Topic[Name] extends (parts: never, input: infer Input) => infer Outcome
    ? (input: Input) => Outcome
    : never;
};

export function bindUseCases<Parts, Topic extends Readonly<Record<string, UseCase<Parts>>>>(
  parts: Parts,
  topic: Topic,
): Bound<Topic> {
  return Object.fromEntries(
    Object.entries(topic).map(([name, useCase]) => [
      name,
      (input: unknown) => useCase(parts, input as never),
    ]),
  ) as Bound<Topic>;
}
