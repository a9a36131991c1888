/**
 * The form on the pages before the dashboard: a title, fields, one button, errors where they arose.
 */
import { useState, type ReactElement, type ReactNode } from 'react';
import { ApiError } from '../client.ts';
import { CrossMark } from './marks.tsx';

/** The texts of the fields by their names. */
export type Entries = (name: string) => string;

export function EntryForm(props: {
  title: string;
  help: string;
  button: string;
  busyButton: string;
  /** What stands there before anything was sent, e.g. why the way here failed. */
  notice?: string | null;
  /** Ends well, or rejects with an `ApiError`, which `explain` turns into a sentence. */
  submit: (entries: Entries) => Promise<void>;
  explain: (error: ApiError) => string;
  children: ReactNode;
  /** Below the button. */
  footer?: ReactNode;
}): ReactElement {
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(props.notice ?? null);

  async function send(form: HTMLFormElement): Promise<void> {
    const fields = new FormData(form);
    setBusy(true);
    setWrong(null);
    try {
      await props.submit((name) => {
        const value = fields.get(name);
        return typeof value === 'string' ? value : '';
      });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setWrong(props.explain(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <main className="sign-in">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          // send() handles its own failures.
          void send(event.currentTarget);
        }}
      >
        <div>
          <h1>{props.title}</h1>
          <p className="quiet">{props.help}</p>
        </div>
        {props.children}
        {wrong !== null && (
          <div className="notice" role="alert">
            <CrossMark />
            <span>{wrong}</span>
          </div>
        )}
        <button type="submit" className="button primary" disabled={busy}>
          {busy ? props.busyButton : props.button}
        </button>
        {props.footer}
      </form>
    </main>
  );
}
