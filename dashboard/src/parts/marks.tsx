/**
 * States and outcomes as shape + colour + word. The shape is for the eye, the word for everybody.
 */
import type { ReactElement } from 'react';
import type { AgentStateName } from '../../../src/api/control/agents.ts';
import { words } from '../words.ts';

const shapes: Record<AgentStateName, ReactElement> = {
  active: <circle cx="5" cy="5" r="4" fill="var(--ok-shape)" />,
  pending: (
    <circle
      cx="5"
      cy="5"
      r="3.75"
      fill="none"
      stroke="var(--pending)"
      strokeWidth="1.5"
      strokeDasharray="2.1 1.83"
    />
  ),
  disconnected: <path d="M5 .4 9.6 5 5 9.6 .4 5Z" fill="var(--warn-shape)" />,
  suspended: <path d="M1.5 1h2.6v8H1.5zM5.9 1h2.6v8H5.9z" fill="var(--suspended)" />,
  dead: <path d="M1.6 1.6 8.4 8.4M8.4 1.6 1.6 8.4" stroke="var(--dead)" strokeWidth="1.8" />,
};

/** The normal case stays quiet: only what needs a look has a coloured word. */
const stateColour: Record<AgentStateName, string> = {
  active: 'var(--text)',
  pending: 'var(--pending)',
  disconnected: 'var(--warn)',
  suspended: 'var(--suspended)',
  dead: 'var(--text-3)',
};

function Shape({ children }: { children: ReactElement }): ReactElement {
  return (
    <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
      {children}
    </svg>
  );
}

export function StateMark(props: { state: AgentStateName; word?: string }): ReactElement {
  return (
    <span className="mark" style={{ color: stateColour[props.state] }}>
      <Shape>{shapes[props.state]}</Shape>
      {props.word ?? words.states[props.state]}
    </span>
  );
}

/** Own is a solid square, shared a hatched one. */
export function OwnershipMark({ shared }: { shared: boolean }): ReactElement {
  return (
    <Shape>
      {shared ? (
        <>
          <rect x=".5" y=".5" width="9" height="9" fill="none" stroke="var(--shared)" />
          <path d="M1 6 6 1M1 9.5 9.5 1M5 9.5 9.5 5" stroke="var(--shared)" />
        </>
      ) : (
        <rect width="10" height="10" fill="var(--series-1)" />
      )}
    </Shape>
  );
}

export function WarningMark(): ReactElement {
  return (
    <Shape>
      <path d="M5 .8 9.7 9.2H.3Z" fill="var(--warn-shape)" />
    </Shape>
  );
}

export function CrossMark(): ReactElement {
  return (
    <Shape>
      <path d="M1.6 1.6 8.4 8.4M8.4 1.6 1.6 8.4" stroke="var(--bad-shape)" strokeWidth="1.8" />
    </Shape>
  );
}

const tick = <path d="M1.2 5.4 4 8 8.8 2" fill="none" stroke="var(--ok-shape)" strokeWidth="1.8" />;
const dash = <path d="M1.5 5h7" stroke="var(--text-3)" strokeWidth="1.8" />;
const emptyBox = (
  <rect x="1" y="1" width="8" height="8" fill="none" stroke="var(--bad-shape)" strokeWidth="1.4" />
);
const cross = (
  <path d="M1.6 1.6 8.4 8.4M8.4 1.6 1.6 8.4" stroke="var(--bad-shape)" strokeWidth="1.8" />
);

const refused = new Set([
  'queue_timeout',
  'queue_full',
  'rate_limit_exceeded',
  'concurrency_exceeded',
  'insufficient_quota',
  'no_agent_available',
  'model_loading',
  'engine_refused',
  'journal_unavailable',
  'shutting_down',
  'revoked',
]);

function outcomeShape(outcome: string): ReactElement {
  if (outcome === 'completed') return tick;
  if (outcome === 'client_closed') return dash;
  return refused.has(outcome) ? emptyBox : cross;
}

export function OutcomeMark({ outcome }: { outcome: string }): ReactElement {
  return (
    <span className="mark">
      <Shape>{outcomeShape(outcome)}</Shape>
      {words.outcomes[outcome] ?? outcome}
    </span>
  );
}

/** A value against its limit; full turns amber. */
export function Meter(props: { used: number | null; limit: number | null }): ReactElement {
  if (props.used === null || props.limit === null || props.limit === 0) return <>–</>;
  const share = Math.min(1, props.used / props.limit);
  return (
    <span className={share === 1 ? 'meter full' : 'meter'}>
      <i aria-hidden="true">
        <b style={{ width: `${Math.round(share * 100)}%` }} />
      </i>
      {props.used} / {props.limit}
    </span>
  );
}
