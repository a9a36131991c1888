/** Copies a text; becomes a tick and "Copied" for 1.5 s in the same width, announced politely. */
import { useEffect, useState, type ReactElement } from 'react';
import { words } from '../words.ts';

const shownForMs = 1500;

export function CopyButton({ text }: { text: string }): ReactElement {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), shownForMs);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <button
      type="button"
      className="button"
      style={{ minWidth: 78 }}
      onClick={() => {
        // Without the permission nothing is copied, and the label says so by not changing.
        navigator.clipboard.writeText(text).then(
          () => setCopied(true),
          () => setCopied(false),
        );
      }}
    >
      {copied ? words.copied : words.copy}
      <span className="spoken" aria-live="polite">
        {copied ? words.copied : ''}
      </span>
    </button>
  );
}
