/**
 * Makes a join key and shows the line to paste, once; then waits for the machine in sight of the
 * person. `asking` → `creating` → `shown`; closing `shown` needs "I have stored it" or a machine.
 */
import { useEffect, useRef, useState, type ReactElement } from 'react';
import type { AgentAnswer } from '../../../src/api/control/agents.ts';
import type { CreatedJoinKeyAnswer } from '../../../src/api/control/joinKeys.ts';
import type { ProjectAnswer } from '../../../src/api/control/projects.ts';
import { ApiError, client } from '../client.ts';
import { countdown } from '../format.ts';
import { CopyButton } from '../parts/copyButton.tsx';
import { CrossMark, StateMark } from '../parts/marks.tsx';
import { words } from '../words.ts';

interface Fields {
  region: string;
  minutes: string;
  uses: string;
}

type Stage =
  | { kind: 'asking'; failure: ApiError | null }
  | { kind: 'creating' }
  | {
      kind: 'shown';
      created: CreatedJoinKeyAnswer;
      knownIds: Set<string>;
      revoked: boolean;
      failure: ApiError | null;
    };

const whole = (text: string): number => (/^\d+$/.test(text) ? Number(text) : Number.NaN);
const inRange = (text: string, most: number): boolean => whole(text) >= 1 && whole(text) <= most;

/** The sentence under each field that is wrong. */
function mistakes(fields: Fields): Partial<Record<keyof Fields, string>> {
  return {
    ...(/^[\x21-\x7e]{1,24}$/.test(fields.region) ? {} : { region: words.join.regionWrong }),
    ...(inRange(fields.minutes, 60) ? {} : { minutes: words.join.lifetimeWrong }),
    ...(inRange(fields.uses, 1000) ? {} : { uses: words.join.usesWrong }),
  };
}

function Field(props: {
  id: keyof Fields;
  label: string;
  help?: string;
  wrong: string | undefined;
  value: string;
  onChange: (value: string) => void;
}): ReactElement {
  return (
    <div className="field">
      <label htmlFor={props.id}>{props.label}</label>
      <input
        id={props.id}
        value={props.value}
        aria-invalid={props.wrong !== undefined}
        aria-describedby={`${props.id}-help`}
        onChange={(event) => props.onChange(event.target.value)}
      />
      <span id={`${props.id}-help`} className={props.wrong === undefined ? 'help' : 'wrong'}>
        {props.wrong ?? props.help}
      </span>
    </div>
  );
}

function Asking(props: {
  busy: boolean;
  failure: ApiError | null;
  onCreate: (fields: Fields) => void;
  onClose: () => void;
}): ReactElement {
  const [fields, setFields] = useState<Fields>({ region: 'local', minutes: '15', uses: '1' });
  const wrong = mistakes(fields);
  const set = (name: keyof Fields) => (value: string) => setFields({ ...fields, [name]: value });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (Object.keys(wrong).length === 0) props.onCreate(fields);
      }}
    >
      <div className="body">
        <p className="support">{words.join.intro}</p>
        <Field
          id="region"
          label={words.join.region}
          help={words.join.regionHelp}
          wrong={wrong.region}
          value={fields.region}
          onChange={set('region')}
        />
        <Field
          id="minutes"
          label={`${words.join.lifetime}, ${words.join.minutes}`}
          wrong={wrong.minutes}
          value={fields.minutes}
          onChange={set('minutes')}
        />
        <Field
          id="uses"
          label={words.join.uses}
          help={words.join.usesHelp}
          wrong={wrong.uses}
          value={fields.uses}
          onChange={set('uses')}
        />
        {props.failure !== null && (
          <div className="notice" role="alert">
            <CrossMark />
            <span>{words.join.failed(props.failure.message, props.failure.code ?? '')}</span>
          </div>
        )}
      </div>
      <footer>
        <button type="button" className="button" onClick={props.onClose}>
          {words.join.discard}
        </button>
        <button type="submit" className="button primary" disabled={props.busy}>
          {props.busy ? words.join.creating : words.join.create}
        </button>
      </footer>
    </form>
  );
}

function KeyState(props: { left: number; revoked: boolean; onRevoke: () => void }): ReactElement {
  if (props.revoked) return <span className="quiet">{words.join.revoked}</span>;
  if (props.left <= 0) return <span className="quiet">{words.join.expired}</span>;
  return (
    <>
      <span>{words.join.left(countdown(props.left))}</span>
      <button type="button" className="link-button" onClick={props.onRevoke}>
        {words.join.revoke}
      </button>
    </>
  );
}

/** What the person waits for: announced once, when it happens. */
function Arrivals({ joined }: { joined: AgentAnswer[] }): ReactElement {
  return (
    <output>
      {joined.length === 0 && <StateMark state="pending" word={words.join.waiting} />}
      {joined.map((agent) => (
        <StateMark key={agent.id} state={agent.state} word={words.join.joined(agent.name)} />
      ))}
    </output>
  );
}

function Command({ created }: { created: CreatedJoinKeyAnswer }): ReactElement {
  const [plain, setPlain] = useState(false);
  const command = plain ? created.join_command_node : created.join_command;
  return (
    <div className="code">
      {command}
      <div style={{ display: 'flex', gap: 8, justifyContent: 'flex-end', marginTop: 8 }}>
        <button type="button" className="button plain" onClick={() => setPlain(!plain)}>
          {plain ? words.join.withCurl : words.join.withoutCurl}
        </button>
        <CopyButton text={command} />
      </div>
    </div>
  );
}

function Shown(props: {
  stage: Extract<Stage, { kind: 'shown' }>;
  agents: AgentAnswer[];
  now: Date;
  onRevoke: () => void;
  onClose: () => void;
}): ReactElement {
  const { created, knownIds, revoked, failure } = props.stage;
  const [stored, setStored] = useState(false);
  const joined = props.agents.filter((agent) => !knownIds.has(agent.id));
  return (
    <>
      <div className="body">
        <p className="support">{words.join.intro}</p>
        <Command created={created} />
        <div style={{ display: 'flex', justifyContent: 'space-between' }}>
          <KeyState
            left={+new Date(created.expires_at) - +props.now}
            revoked={revoked}
            onRevoke={props.onRevoke}
          />
        </div>
        {failure !== null && (
          <div className="notice" role="alert">
            <CrossMark />
            <span>{words.join.notRevoked(failure.message, failure.code ?? '')}</span>
          </div>
        )}
        <p className="quiet">{words.join.once}</p>
        <Arrivals joined={joined} />
      </div>
      <footer>
        {joined.length === 0 && (
          <label className="mark" style={{ marginRight: 'auto' }}>
            <input
              type="checkbox"
              checked={stored}
              onChange={(event) => setStored(event.target.checked)}
            />
            {words.join.stored}
          </label>
        )}
        <button
          type="button"
          className="button primary"
          disabled={!stored && joined.length === 0}
          onClick={props.onClose}
        >
          {words.join.done}
        </button>
      </footer>
    </>
  );
}

export function AddMachine(props: {
  project: ProjectAnswer;
  agents: AgentAnswer[];
  now: Date;
  onClose: () => void;
}): ReactElement {
  const [stage, setStage] = useState<Stage>({ kind: 'asking', failure: null });
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);

  async function create(fields: Fields): Promise<void> {
    setStage({ kind: 'creating' });
    try {
      const created = await client.createJoinKey(props.project.id, {
        region: fields.region,
        ttl_seconds: whole(fields.minutes) * 60,
        max_uses: whole(fields.uses),
      });
      const knownIds = new Set(props.agents.map((agent) => agent.id));
      setStage({ kind: 'shown', created, knownIds, revoked: false, failure: null });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setStage({ kind: 'asking', failure: error });
    }
  }

  async function revoke(shown: Extract<Stage, { kind: 'shown' }>): Promise<void> {
    try {
      await client.revokeJoinKey(props.project.id, shown.created.id);
      setStage({ ...shown, revoked: true, failure: null });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setStage({ ...shown, failure: error });
    }
  }

  return (
    <dialog
      ref={dialog}
      aria-labelledby="join-title"
      onCancel={(event) => {
        // The key is shown once: Esc must not throw it away unseen.
        if (stage.kind === 'shown') event.preventDefault();
      }}
      onClose={props.onClose}
    >
      <header>
        <h2 id="join-title">{words.join.title}</h2>
      </header>
      {stage.kind === 'shown' ? (
        <Shown
          stage={stage}
          agents={props.agents}
          now={props.now}
          // revoke() turns its failures into the stage.
          onRevoke={() => void revoke(stage)}
          onClose={props.onClose}
        />
      ) : (
        <Asking
          busy={stage.kind === 'creating'}
          failure={stage.kind === 'asking' ? stage.failure : null}
          // create() turns its failures into the stage.
          onCreate={(fields) => void create(fields)}
          onClose={props.onClose}
        />
      )}
    </dialog>
  );
}
