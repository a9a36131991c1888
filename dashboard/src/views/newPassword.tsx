/** A one-time password opens this page and nothing else: its owner puts another in its place. */
import type { ReactElement } from 'react';
import { client, type ApiError } from '../client.ts';
import { EntryField } from '../parts/entryField.tsx';
import { EntryForm } from '../parts/entryForm.tsx';
import { words } from '../words.ts';

function explain(error: ApiError): string {
  return error.code === 'invalid_credentials'
    ? words.newPassword.wrong
    : words.newPassword.failed(error.message);
}

export function NewPassword(props: {
  /** As it was typed a moment ago; null: after a reload nobody remembers it. */
  oneTime: string | null;
  onDone: () => void;
  onSignOut: () => void;
}): ReactElement {
  const { oneTime } = props;
  return (
    <EntryForm
      title={words.newPassword.title}
      help={words.newPassword.help}
      button={words.newPassword.button}
      busyButton={words.newPassword.busy}
      explain={explain}
      submit={async (entries) => {
        await client.changePassword({
          old_password: oneTime ?? entries('one-time'),
          new_password: entries('new-password'),
        });
        props.onDone();
      }}
      footer={
        <button type="button" className="button" onClick={props.onSignOut}>
          {words.signOut}
        </button>
      }
    >
      {oneTime === null && (
        <EntryField
          id="one-time"
          label={words.newPassword.oneTime}
          type="password"
          autoComplete="current-password"
          focused
        />
      )}
      <EntryField
        id="new-password"
        label={words.newPassword.label}
        help={words.newPassword.rule}
        type="password"
        autoComplete="new-password"
        minLength={12}
        focused={oneTime !== null}
      />
    </EntryForm>
  );
}
