/**
 * One event stream per tab. Snapshots are painted at most once a second, all parts of the view in
 * one frame; a hidden tab stops and follows again when it is shown; Pause freezes what is seen.
 */
import { useCallback, useEffect, useRef, useState } from 'react';
import type { LiveSnapshot } from '../../src/api/control/status.ts';
import { client } from './client.ts';

/** After this long without an event the view says that it is stale, in ms. */
const staleAfterMs = 10_000;

export interface Live {
  snapshot: LiveSnapshot | null;
  /** Browser time at which the snapshot came. */
  receivedAt: Date | null;
  now: Date;
  link: 'connecting' | 'live' | 'gap';
  stale: boolean;
  pausedAt: Date | null;
  togglePause: () => void;
  reconnect: () => void;
}

/** The present second; nothing ticks while the tab is hidden. */
function useSecond(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setNow(new Date());
    }, 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

export function useLive(project: string): Live {
  const [shown, setShown] = useState<{ snapshot: LiveSnapshot; at: Date } | null>(null);
  const [link, setLink] = useState<Live['link']>('connecting');
  const [pausedAt, setPausedAt] = useState<Date | null>(null);
  const [attempt, setAttempt] = useState(0);
  const paused = useRef(false);
  const now = useSecond();

  useEffect(() => {
    let stop: (() => void) | undefined;
    const open = (): void => {
      stop?.();
      if (document.hidden) return;
      stop = client.follow(project, {
        onSnapshot(snapshot) {
          setLink('live');
          if (!paused.current) setShown({ snapshot, at: new Date() });
        },
        onGap: () => setLink('gap'),
      });
    };
    open();
    document.addEventListener('visibilitychange', open);
    return () => {
      document.removeEventListener('visibilitychange', open);
      stop?.();
    };
  }, [project, attempt]);

  const togglePause = useCallback(() => {
    paused.current = !paused.current;
    setPausedAt(paused.current ? new Date() : null);
  }, []);

  const receivedAt = shown?.at ?? null;
  return {
    snapshot: shown?.snapshot ?? null,
    receivedAt,
    now,
    link,
    stale: pausedAt === null && receivedAt !== null && +now - +receivedAt > staleAfterMs,
    pausedAt,
    togglePause,
    reconnect: () => setAttempt((before) => before + 1),
  };
}
