/**
 * The last requests, newest first. While pointer or focus is inside, new rows wait behind a link.
 */
import { useEffect, useRef, useState, type ReactElement, type RefObject } from 'react';
import type { RequestAnswer } from '../../../src/api/control/requests.ts';
import { count, duration, moment, shortId } from '../format.ts';
import { OutcomeMark, OwnershipMark } from '../parts/marks.tsx';
import { words } from '../words.ts';

const { columns } = words.requests;

function ServedBy({ agent }: { agent: string | null }): ReactElement {
  if (agent === null) return <>–</>;
  const shared = agent === 'shared';
  return (
    <span className="mark">
      <OwnershipMark shared={shared} />
      {shared ? words.shared : agent}
    </span>
  );
}

function Row({ request, now }: { request: RequestAnswer; now: Date }): ReactElement {
  return (
    <tr>
      <td title={request.started_at}>{moment(new Date(request.started_at), now)}</td>
      <td>
        <OutcomeMark outcome={request.outcome} />
      </td>
      <td className="mono">{request.endpoint}</td>
      <td>
        <ServedBy agent={request.agent} />
      </td>
      <td className="number">{duration(request.ttft_ms)}</td>
      <td className="number">{duration(request.latency_ms)}</td>
      <td className="number">
        {count(request.input_tokens)} / {count(request.output_tokens)}
      </td>
      <td className="mono wide-only" title={request.id}>
        {shortId(request.id)}
      </td>
    </tr>
  );
}

/** Holds the rows as they are while the pointer or the focus is in the section. */
function useHeld(
  section: RefObject<HTMLElement | null>,
  rows: RequestAnswer[],
): [RequestAnswer[] | null, (rows: RequestAnswer[] | null) => void] {
  const [held, setHeld] = useState<RequestAnswer[] | null>(null);
  const latest = useRef(rows);
  useEffect(() => {
    latest.current = rows;
  }, [rows]);
  useEffect(() => {
    const element = section.current;
    // An empty list has no row that could jump: the first one must not wait.
    const hold = (): void => setHeld(latest.current.length === 0 ? null : latest.current);
    const release = (): void => setHeld(null);
    element?.addEventListener('pointerenter', hold);
    element?.addEventListener('pointerleave', release);
    element?.addEventListener('focusin', hold);
    element?.addEventListener('focusout', release);
    return () => {
      element?.removeEventListener('pointerenter', hold);
      element?.removeEventListener('pointerleave', release);
      element?.removeEventListener('focusin', hold);
      element?.removeEventListener('focusout', release);
    };
  }, [section]);
  return [held, setHeld];
}

export function RequestsTable(props: { requests: RequestAnswer[]; now: Date }): ReactElement {
  const section = useRef<HTMLElement>(null);
  const [held, setHeld] = useHeld(section, props.requests);
  const rows = held ?? props.requests;
  const heldIds = new Set(rows.map((request) => request.id));
  const fresh = props.requests.filter((request) => !heldIds.has(request.id)).length;
  return (
    <section ref={section} className="section" aria-labelledby="requests">
      <header>
        <h2 id="requests">{words.requests.title}</h2>
        {fresh > 0 && (
          <button type="button" className="link-button" onClick={() => setHeld(props.requests)}>
            {words.requests.held(count(fresh))}
          </button>
        )}
      </header>
      {rows.length === 0 ? (
        <div className="empty">
          <b>{words.requests.emptyTitle}</b>
          <span className="support">{words.requests.empty}</span>
        </div>
      ) : (
        <table className="stacks">
          <thead>
            <tr>
              <th>{columns.at}</th>
              <th>{columns.outcome}</th>
              <th>{columns.endpoint}</th>
              <th>{columns.agent}</th>
              <th className="number">{columns.ttft}</th>
              <th className="number">{columns.total}</th>
              <th className="number">{columns.tokens}</th>
              <th>{columns.id}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((request) => (
              <Row key={request.id} request={request} now={props.now} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
