/** Own nodes and shared agents in one table; rows keep their order while their numbers change. */
import type { ReactElement } from 'react';
import type { AgentAnswer, AgentModelAnswer } from '../../../src/api/control/agents.ts';
import { age, count, share, size, unknown } from '../format.ts';
import { Meter, OwnershipMark, StateMark } from '../parts/marks.tsx';
import { words } from '../words.ts';

const { columns } = words.agents;
const columnCount = Object.keys(columns).length;

function hardware({ facts }: AgentAnswer): string {
  if (facts === null) return unknown;
  const [gpu] = facts.accelerators;
  if (gpu !== undefined) {
    return gpu.memoryBytes === undefined ? gpu.model : `${gpu.model} ${size(gpu.memoryBytes)}`;
  }
  return `${facts.cpu.model} ${facts.cpu.cores} c`;
}

function modelText(model: AgentModelAnswer): string {
  switch (model.state) {
    case 'fetching':
      return `${model.name} ${words.agents.fetching(
        share(model.received_bytes ?? 0, model.total_bytes ?? 0),
        size(model.bytes_per_second),
      )}`;
    case 'loading':
      return `${model.name} ${words.agents.loading}`;
    case 'failed':
      return `${model.name} ${words.agents.failed(model.error ?? unknown)}`;
    case 'ready':
    case 'cached':
      return model.name;
  }
}

function Row({ agent, now }: { agent: AgentAnswer; now: Date }): ReactElement {
  const models = agent.models.map(modelText).join(', ') || words.agents.noneYet;
  const seen =
    agent.last_seen_at === null
      ? words.agents.never
      : age(agent.state === 'active' ? 0 : +now - +new Date(agent.last_seen_at));
  return (
    <tr className={agent.state === 'dead' ? 'gone' : undefined}>
      <td className="name">{agent.name}</td>
      <td title={agent.suspended_reason ?? undefined}>
        <StateMark state={agent.state} />
      </td>
      <td>{agent.region}</td>
      <td className="wide-only" title={hardware(agent)}>
        {hardware(agent)}
      </td>
      <td className="mono wide-only" title={models}>
        {models}
      </td>
      <td className="number">
        <Meter used={agent.in_flight} limit={agent.slots} />
      </td>
      <td className="number wide-only">
        {agent.rtt_ms === null ? unknown : agent.rtt_ms.toFixed(agent.rtt_ms < 10 ? 1 : 0)}
      </td>
      <td className={agent.state === 'disconnected' ? 'number wide-only late' : 'number wide-only'}>
        {seen}
      </td>
    </tr>
  );
}

function Group(props: {
  title: string;
  note: string;
  shared: boolean;
  agents: AgentAnswer[];
  now: Date;
}): ReactElement {
  return (
    <>
      <tr className="group">
        <td colSpan={columnCount}>
          <span className="mark">
            <OwnershipMark shared={props.shared} />
            <b>{props.title}</b>
            <span className="quiet">
              {count(props.agents.length)}, {props.note}
            </span>
          </span>
        </td>
      </tr>
      {props.agents.map((agent) => (
        <Row key={agent.id} agent={agent} now={props.now} />
      ))}
    </>
  );
}

function NoneYet({ onAdd }: { onAdd: () => void }): ReactElement {
  return (
    <div className="empty" style={{ marginTop: 12 }}>
      <b>{words.agents.emptyTitle}</b>
      <span className="support">{words.agents.empty}</span>
      <button type="button" className="button" onClick={onAdd}>
        {words.agents.add}
      </button>
    </div>
  );
}

/** By name, so that a row never jumps under the pointer. */
function sorted(agents: AgentAnswer[], ownership: AgentAnswer['ownership']): AgentAnswer[] {
  return agents
    .filter((agent) => agent.ownership === ownership)
    .toSorted((a, b) => a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1));
}

export function AgentsTable(props: {
  agents: AgentAnswer[];
  project: string;
  now: Date;
  onAdd: () => void;
}): ReactElement {
  const own = sorted(props.agents, 'project');
  const shared = sorted(props.agents, 'shared');
  return (
    <section className="section" aria-labelledby="agents">
      <header>
        <h2 id="agents">{words.agents.title}</h2>
        <span>{words.agents.summary(count(own.length), count(shared.length))}</span>
      </header>
      <table className="stacks">
        <thead>
          <tr>
            <th>{columns.name}</th>
            <th>{columns.state}</th>
            <th>{columns.region}</th>
            <th>{columns.hardware}</th>
            <th>{columns.model}</th>
            <th className="number">{columns.load}</th>
            <th className="number">{columns.rtt}</th>
            <th className="number">{columns.seen}</th>
          </tr>
        </thead>
        <tbody>
          <Group
            title={words.agents.own}
            note={words.agents.ownNote(props.project)}
            shared={false}
            agents={own}
            now={props.now}
          />
          <Group
            title={words.agents.shared}
            note={words.agents.sharedNote}
            shared
            agents={shared}
            now={props.now}
          />
        </tbody>
      </table>
      {own.length === 0 && <NoneYet onAdd={props.onAdd} />}
    </section>
  );
}
