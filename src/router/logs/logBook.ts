/**
 * What agents have logged lately: one log for each agent, and one for each project with the lines
 * of shared agents that belong to its requests. In memory: a restart begins anew, and says so to
 * whoever goes on reading.
 *
 * Invariants
 * B1 A line that names a request of a shared agent goes to that request's project and to nobody
 *    else; it must be a request that this very agent was given. Any other such line is dropped.
 * B2 Lines are cleaned here, whatever the agent has done to them: it is an untrusted peer.
 * B3 Everything is bounded: lines and bytes of a log, bytes of all logs, what an agent may send.
 *    What goes over is counted, and stands as a gap where it would have stood.
 * B4 No reader is waited for: each has a number up to which it has read, and misses what was pushed
 *    out meanwhile, which it is told.
 */
import { Allowance } from '../../lib/allowance.ts';
import { cleanLogText } from '../../lib/text/cleanLogText.ts';
import type { Clock } from '../../lib/clock.ts';
import { newId } from '../../lib/ids.ts';
import type { Random } from '../../lib/random.ts';
import type { LogMessage } from '../../protocol/messages/agentControl.ts';
import type { Directory, DirectoryEvent } from '../directory.ts';
import {
  agentLogBytes,
  agentLogLines,
  maxAllLogsBytes,
  maxLogBytes,
  maxLogLines,
  maxLogTextCharacters,
  maxServedRequests,
} from '../limits.ts';
import { LogRing, type LogEntry, type LogLine } from './logRing.ts';

/** Whose log. */
export type LogName = `agent:${string}` | `project:${string}`;

/** Up to where somebody has read. */
export interface LogPlace {
  /** Names the start of the server that gave the number. */
  epoch: string;
  seq: number;
}

export interface LogPage {
  /** Oldest first; what is missing before the first of them stands there as a gap. */
  entries: LogEntry[];
  /** After the last of them. */
  place: LogPlace;
  /** There are more behind it already. */
  more: boolean;
}

interface Log {
  ring: LogRing;
  /** Lines that were lost since the last one that is kept. */
  lost: number;
  listeners: Set<() => void>;
}

type SentLine = LogMessage['lines'][number];

export class LogBook {
  private readonly directory: Directory;
  private readonly clock: Clock;
  private readonly epoch: string;
  private readonly logs = new Map<LogName, Log>();
  private readonly allowances = new Map<string, { bytes: Allowance; lines: Allowance }>();
  /** Requests that shared agents were given lately, oldest first (B1). */
  private readonly served = new Map<string, { agentId: string; projectId: string }>();
  private heldBytes = 0;

  constructor(options: { directory: Directory; clock: Clock; random: Random }) {
    this.directory = options.directory;
    this.clock = options.clock;
    this.epoch = newId('log', options.random);
  }

  /** A request goes to an agent. Only shared ones serve more than one project. */
  serve(request: { requestId: string; agentId: string; projectId: string }): void {
    const { requestId, agentId, projectId } = request;
    if (this.directory.agent(agentId)?.projectId !== null) return;
    this.served.delete(requestId);
    this.served.set(requestId, { agentId, projectId });
    const oldest = this.served.keys().next();
    if (this.served.size > maxServedRequests && oldest.done !== true) {
      this.served.delete(oldest.value);
    }
  }

  /** Takes what an agent has sent. */
  take(agentId: string, message: LogMessage): void {
    const agent = this.directory.agent(agentId);
    if (agent === undefined || agent.state === 'dead') return;
    const own: LogName = `agent:${agentId}`;
    if (message.dropped > 0) this.lose(own, message.dropped);
    const touched = new Set<LogName>();
    for (const line of message.lines) {
      const name = agent.projectId === null ? this.logOf(agentId, line) : own;
      if (name === undefined) continue;
      if (!this.allows(agentId, line)) this.lose(name, 1);
      else {
        this.append(name, this.cleaned(line));
        touched.add(name);
      }
    }
    for (const name of touched) for (const told of this.log(name).listeners) told();
  }

  /**
   * At most `limit` entries after `after`, or the last ones when it is null. A place of an earlier
   * start of the server counts as before everything.
   */
  read(name: LogName, options: { after: LogPlace | null; limit: number }): LogPage {
    const { after, limit } = options;
    const ring = this.logs.get(name)?.ring ?? new LogRing();
    const known = after?.epoch === this.epoch;
    const from = after === null ? Math.max(0, ring.last - limit) : known ? after.seq : 0;
    const { entries, missed } = ring.after(Math.min(from, ring.last), limit);
    const seq = entries.at(-1)?.seq ?? Math.max(from, ring.last - ring.size);
    const place = { epoch: this.epoch, seq };
    const more = seq < ring.last;
    const restarted = after !== null && !known;
    if (!restarted && (after === null || missed === 0)) return { entries, place, more };
    const lines = restarted ? null : missed;
    const receivedAtMs = entries[0]?.receivedAtMs ?? this.clock.now();
    const first = (entries[0]?.seq ?? seq + 1) - 1;
    const gap: LogEntry = { kind: 'gap', receivedAtMs, lines, seq: first };
    return { entries: [gap, ...entries], place, more };
  }

  /** Calls `told` after lines have come. Returns the unsubscriber. */
  onLines(name: LogName, told: () => void): () => void {
    const { listeners } = this.log(name);
    listeners.add(told);
    return () => listeners.delete(told);
  }

  /** What is gone from the directory, or dead, has no log any more. */
  onDirectory(event: DirectoryEvent): void {
    if (event.kind === 'agent' && (event.entry === null || event.entry.state === 'dead')) {
      this.forget(`agent:${event.id}`);
      this.allowances.delete(event.id);
    }
    const gone = event.kind === 'project' && this.directory.project(event.id) === undefined;
    if (gone) this.forget(`project:${event.id}`);
  }

  /** What all logs take (B3). */
  get bytes(): number {
    return this.heldBytes;
  }

  /** B1: where a shared agent's line belongs. Undefined: nowhere. */
  private logOf(agentId: string, line: SentLine): LogName | undefined {
    if (line.requestId === undefined) return `agent:${agentId}`;
    const served = this.served.get(line.requestId);
    return served?.agentId === agentId ? `project:${served.projectId}` : undefined;
  }

  private allows(agentId: string, line: SentLine): boolean {
    const nowMs = this.clock.monotonic();
    const known = this.allowances.get(agentId) ?? {
      bytes: new Allowance(agentLogBytes, nowMs),
      lines: new Allowance(agentLogLines, nowMs),
    };
    this.allowances.set(agentId, known);
    return known.lines.take(1, nowMs) && known.bytes.take(line.text.length, nowMs);
  }

  /** B2. */
  private cleaned(line: SentLine): LogLine {
    const receivedAtMs = this.clock.now();
    const { atMs, level, source, text, requestId } = line;
    return {
      kind: 'line',
      atMs: Math.abs(atMs) <= latestDateMs ? atMs : receivedAtMs,
      receivedAtMs,
      level,
      source,
      text: cleanLogText(text, maxLogTextCharacters),
      requestId: requestId !== undefined && requestPattern.test(requestId) ? requestId : null,
    };
  }

  private lose(name: LogName, lines: number): void {
    const log = this.log(name);
    log.lost = Math.min(Number.MAX_SAFE_INTEGER, log.lost + lines);
  }

  private append(name: LogName, line: LogLine): void {
    const log = this.log(name);
    const { ring, lost } = log;
    const before = ring.bytes;
    const { receivedAtMs } = line;
    if (lost > 0) ring.append({ kind: 'gap', receivedAtMs, lines: lost });
    log.lost = 0;
    ring.append(line);
    ring.trim({ entries: maxLogLines, bytes: maxLogBytes });
    this.heldBytes += ring.bytes - before;
    if (this.heldBytes > maxAllLogsBytes) this.relieve();
  }

  private log(name: LogName): Log {
    const known = this.logs.get(name);
    if (known !== undefined) return known;
    const log: Log = { ring: new LogRing(), lost: 0, listeners: new Set() };
    this.logs.set(name, log);
    return log;
  }

  private forget(name: LogName): void {
    this.heldBytes -= this.logs.get(name)?.ring.bytes ?? 0;
    this.logs.delete(name);
  }

  /**
   * B3: cuts the largest logs down to one level, the highest at which all together take nine tenths
   * of what they may. Whoever is loud loses its own lines and nobody else's. A tenth is freed at
   * once, so that a look at every log is rare.
   */
  private relieve(): void {
    const aim = 0.9 * maxAllLogsBytes;
    let level = aim / this.logs.size;
    for (let round = 0; round < levelRounds; round += 1) {
      let small = 0;
      let large = 0;
      for (const { ring } of this.logs.values()) {
        if (ring.bytes <= level) small += ring.bytes;
        else large += 1;
      }
      if (large > 0) level = (aim - small) / large;
    }
    this.heldBytes = 0;
    for (const { ring } of this.logs.values()) {
      ring.trim({ entries: maxLogLines, bytes: level });
      this.heldBytes += ring.bytes;
    }
  }
}

/** Each brings the level closer to the highest possible one, from below. */
const levelRounds = 4;
/** The last moment that a date can name, in epoch ms. */
const latestDateMs = 8.64e15;
const requestPattern = /^\w[\w-]{0,63}$/;
