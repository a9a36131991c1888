/**
 * The page before everything: email and password, then a code where the account asks for one; or
 * the way to the identity provider.
 */
import { useQuery } from '@tanstack/react-query';
import { useState, type ReactElement } from 'react';
import { client, type ApiError } from '../client.ts';
import { EntryField } from '../parts/entryField.tsx';
import { EntryForm } from '../parts/entryForm.tsx';
import { words } from '../words.ts';

function explain(error: ApiError): string {
  switch (error.code) {
    case 'invalid_credentials':
      return words.signIn.wrong;
    case 'second_factor_invalid':
      return words.signIn.wrongCode;
    case 'account_disabled':
      return words.signIn.disabled;
    default:
      return words.signIn.away(error.message);
  }
}

/** Why the way over the identity provider ended here: a word of the server's in the address. */
function takeReturned(): string | null {
  const word = new URLSearchParams(location.search).get('sign_in');
  if (word === null) return null;
  history.replaceState(null, '', location.pathname + location.hash);
  return words.signIn.returned[word] ?? words.signIn.returnedOtherwise;
}
/** Told once: not again to the next who signs in on this page. */
let returned = takeReturned();

export function SignIn(props: {
  help?: string;
  /** Gets a one-time password, which the page that changes it needs again; null: it was none. */
  onDone: (oneTime: string | null) => void;
}): ReactElement {
  const [askCode, setAskCode] = useState(false);
  const options = useQuery({ queryKey: ['sign-in options'], queryFn: client.signInOptions });
  const oidc = options.data?.oidc ?? null;
  return (
    <EntryForm
      title={words.signIn.title}
      help={props.help ?? words.signIn.help}
      button={words.signIn.button}
      busyButton={words.signIn.busy}
      notice={returned}
      explain={explain}
      submit={async (entries) => {
        const password = entries('password');
        const code = askCode ? { code: entries('code') } : {};
        const outcome = await client.signIn({ email: entries('email'), password, ...code });
        if (outcome === 'code_needed') {
          setAskCode(true);
          return;
        }
        returned = null;
        props.onDone(outcome.must_change_password ? password : null);
      }}
      footer={
        oidc !== null && (
          <a className="button" href={oidc.start}>
            {words.signIn.with(oidc.name)}
          </a>
        )
      }
    >
      <EntryField id="email" label={words.signIn.email} autoComplete="username" focused />
      <EntryField
        id="password"
        label={words.signIn.password}
        type="password"
        autoComplete="current-password"
      />
      {askCode && (
        <EntryField
          id="code"
          label={words.signIn.code}
          help={words.signIn.codeHelp}
          autoComplete="one-time-code"
          focused
        />
      )}
    </EntryForm>
  );
}
