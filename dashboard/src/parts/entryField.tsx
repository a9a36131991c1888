/** A field of an entry form; the first one on the page takes the focus. */
import { useEffect, useRef, type ReactElement } from 'react';

export function EntryField(props: {
  id: string;
  label: string;
  help?: string;
  type?: 'text' | 'password';
  autoComplete: string;
  inputMode?: 'numeric' | 'text';
  minLength?: number;
  focused?: boolean;
}): ReactElement {
  const { id, label, help, focused = false, type = 'text', ...rest } = props;
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focused) input.current?.focus();
  }, [focused]);
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        name={id}
        type={type}
        required
        ref={input}
        {...(help === undefined ? {} : { 'aria-describedby': `${id}-help` })}
        {...rest}
      />
      {help !== undefined && (
        <span id={`${id}-help`} className="help">
          {help}
        </span>
      )}
    </div>
  );
}
