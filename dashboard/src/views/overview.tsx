/** The first page: is it well, who serves, what came last. All of it from one live snapshot. */
import { useState, type ReactElement } from 'react';
import type { ProjectAnswer } from '../../../src/api/control/projects.ts';
import type { RequestAnswer } from '../../../src/api/control/requests.ts';
import type { SessionAnswer } from '../../../src/api/control/sessions.ts';
import type { LiveSnapshot } from '../../../src/api/control/status.ts';
import { count, duration, moment, share } from '../format.ts';
import { useLive, type Live } from '../live.ts';
import { StateMark, WarningMark } from '../parts/marks.tsx';
import { words } from '../words.ts';
import { AddMachine } from './addMachine.tsx';
import { AgentsTable } from './agentsTable.tsx';
import { EndpointsList } from './endpointsList.tsx';
import { RequestsTable } from './requestsTable.tsx';
import { Sidebar } from './sidebar.tsx';

function Figure(props: { label: string; value: string; note?: string }): ReactElement {
  return (
    <div>
      <dt>{props.label}</dt>
      <dd>
        {props.value} {props.note !== undefined && <small>{props.note}</small>}
      </dd>
    </div>
  );
}

function medianTtft(requests: RequestAnswer[]): number | null {
  const sorted = requests
    .map((request) => request.ttft_ms)
    .filter((ttft) => ttft !== null)
    .toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}

function Figures({ snapshot }: { snapshot: LiveSnapshot }): ReactElement {
  const alive = snapshot.agents.filter((agent) => agent.state !== 'dead');
  const active = alive.filter((agent) => agent.state === 'active');
  const completed = snapshot.requests.filter((request) => request.outcome === 'completed');
  const total = snapshot.requests.length;
  return (
    <dl className="figures">
      <Figure
        label={words.figures.active}
        value={count(active.length)}
        note={words.figures.of(count(alive.length))}
      />
      <Figure label={words.figures.running} value={count(snapshot.status.running)} />
      <Figure label={words.figures.waiting} value={count(snapshot.status.waiting)} />
      <Figure label={words.figures.ttft} value={duration(medianTtft(snapshot.requests))} />
      <Figure
        label={words.figures.success}
        value={share(completed.length, total)}
        note={words.figures.ofRequests(count(total))}
      />
      <Figure label={words.figures.version} value={snapshot.status.version} />
    </dl>
  );
}

function StaleStrip({ live }: { live: Live }): ReactElement | null {
  if (!live.stale || live.receivedAt === null) return null;
  return (
    <output className="strip stale">
      <StateMark state="disconnected" word={words.stale(moment(live.receivedAt, live.now))} />
      <span>{words.staleNext}</span>
      <button type="button" className="link-button" onClick={live.reconnect}>
        {words.reconnect}
      </button>
    </output>
  );
}

function Header(props: { live: Live; onAdd: () => void }): ReactElement {
  const { live } = props;
  const time = live.receivedAt === null ? '' : moment(live.receivedAt, live.now);
  return (
    <div className="header">
      <h1>{words.overview}</h1>
      <div className="right">
        <span className="clock">
          {live.pausedAt === null
            ? time !== '' && words.updated(time)
            : words.pausedSince(moment(live.pausedAt, live.now))}
        </span>
        <button type="button" className="button plain" onClick={live.togglePause}>
          {live.pausedAt === null ? words.pause : words.resume}
        </button>
        <button type="button" className="button primary" onClick={props.onAdd}>
          {words.agents.add}
        </button>
      </div>
    </div>
  );
}

/** Grey bars in the final geometry until the first snapshot is there. */
function Loading(): ReactElement {
  return (
    <div className="section bars" aria-busy="true">
      {Array.from({ length: 8 }, (_, at) => (
        <i key={at} style={{ width: `${70 - at * 5}%` }} />
      ))}
    </div>
  );
}

export function Overview(props: {
  session: SessionAnswer;
  project: ProjectAnswer;
  onSignOut: () => void;
}): ReactElement {
  const { project } = props;
  const live = useLive(project.id);
  const [adding, setAdding] = useState(false);
  const { snapshot } = live;
  return (
    <div className="frame">
      <a className="skip" href="#content">
        {words.skip}
      </a>
      <Sidebar {...props} live={live} />
      <main className="page" id="content">
        <Header live={live} onAdd={() => setAdding(true)} />
        <div className="content" style={live.stale ? { color: 'var(--text-3)' } : undefined}>
          <StaleStrip live={live} />
          {snapshot?.status.notices.map((notice) => (
            <div className="strip" key={notice.code}>
              <WarningMark />
              <b>{notice.code}</b>
              <span className="support">{notice.message}</span>
            </div>
          ))}
          {snapshot === null ? (
            <Loading />
          ) : (
            <>
              <Figures snapshot={snapshot} />
              <div className="split">
                <div>
                  <AgentsTable
                    agents={snapshot.agents}
                    project={project.name}
                    now={live.now}
                    onAdd={() => setAdding(true)}
                  />
                  <RequestsTable requests={snapshot.requests} now={live.now} />
                </div>
                <aside>
                  <EndpointsList endpoints={snapshot.endpoints} />
                </aside>
              </div>
            </>
          )}
        </div>
      </main>
      {adding && (
        <AddMachine
          project={project}
          agents={snapshot?.agents ?? []}
          now={live.now}
          onClose={() => setAdding(false)}
        />
      )}
    </div>
  );
}
