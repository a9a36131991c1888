/**
 * Gives memory back after a load. V8 keeps what a load has made it take: measured, a server held
 * 296 MiB for as long as nobody came again, of 171 before.
 */
import type { Clock } from '../../lib/clock.ts';
import { releaseMemory } from '../../lib/memory/releaseMemory.ts';

/** How often it is looked at, in ms. */
const lookMs = 10_000;
/**
 * Nothing ran for so many looks in a row. The collection takes the shapes of objects with it that
 * no request holds at that moment, and so the machine code that was compiled for them: the first
 * thousands of requests afterwards cost half more. A pause between two bursts is no rest.
 */
const restLooks = 6;
/** Fewer requests since the last time leave too little. */
const worthRequests = 500;

/** How many requests there are, and how many have ended since the start. */
export interface Traffic {
  running: number;
  waiting: number;
  ended: number;
}

/**
 * Watches until `stopped`. A collection costs the thread up to 100 ms; it comes only while nobody
 * waits, once after each load.
 */
export function keepMemoryAtRest(options: {
  traffic: () => Traffic;
  clock: Clock;
  stopped: AbortSignal;
  release?: () => void;
}): void {
  const { traffic, clock, stopped, release = releaseMemory } = options;
  let endedAtLook = 0;
  let quietLooks = 0;
  let endedAtRelease = 0;
  const look = (): void => {
    if (stopped.aborted) return;
    const { running, waiting, ended } = traffic();
    const isQuiet = running + waiting === 0 && ended === endedAtLook;
    quietLooks = isQuiet ? quietLooks + 1 : 0;
    endedAtLook = ended;
    if (quietLooks >= restLooks && ended - endedAtRelease >= worthRequests) {
      endedAtRelease = ended;
      release();
    }
    clock.setTimer(lookMs, look);
  };
  clock.setTimer(lookMs, look);
}
