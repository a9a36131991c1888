/** The page before everything: email and password, errors where they arose. */
import { useEffect, useRef, useState, type ReactElement } from 'react';
import { ApiError, client } from '../client.ts';
import { CrossMark } from '../parts/marks.tsx';
import { words } from '../words.ts';

function reason(error: unknown): string {
  if (!(error instanceof ApiError)) throw error;
  return error.code === 'invalid_credentials'
    ? words.signIn.wrong
    : words.signIn.away(error.message);
}

export function SignIn({ onDone }: { onDone: () => void }): ReactElement {
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);

  const email = useRef<HTMLInputElement>(null);
  useEffect(() => email.current?.focus(), []);

  async function submit(form: HTMLFormElement): Promise<void> {
    const fields = new FormData(form);
    const text = (name: string): string => {
      const value = fields.get(name);
      return typeof value === 'string' ? value : '';
    };
    setBusy(true);
    setWrong(null);
    try {
      await client.signIn({
        email: text('email'),
        password: text('password'),
      });
      onDone();
    } catch (error) {
      setWrong(reason(error));
      setBusy(false);
    }
  }

  return (
    <main className="sign-in">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          // submit() handles its own failures.
          void submit(event.currentTarget);
        }}
      >
        <div>
          <h1>{words.signIn.title}</h1>
          <p className="quiet">{words.signIn.help}</p>
        </div>
        <div className="field">
          <label htmlFor="email">{words.signIn.email}</label>
          <input id="email" name="email" type="text" autoComplete="username" required ref={email} />
        </div>
        <div className="field">
          <label htmlFor="password">{words.signIn.password}</label>
          <input
            id="password"
            name="password"
            type="password"
            autoComplete="current-password"
            required
          />
        </div>
        {wrong !== null && (
          <div className="notice" role="alert">
            <CrossMark />
            <span>{wrong}</span>
          </div>
        )}
        <button type="submit" className="button primary" disabled={busy}>
          {busy ? words.signIn.busy : words.signIn.button}
        </button>
      </form>
    </main>
  );
}
