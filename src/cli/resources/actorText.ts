/** Who did it, for a person: by name where there is one. */
export function actorText(by: { actor: string; actor_name: string | null }): string {
  const { actor, actor_name: name } = by;
  if (name === null || name === '') return actor;
  return actor.startsWith('key:') ? `key ${name}` : name;
}
