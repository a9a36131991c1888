/** The bounds of a link (L4). Sizes in bytes, spans in ms. */
import { frameHeaderBytes } from './wire/frame.ts';

export interface LinkLimits {
  /** Payload of one frame. Part of the protocol: both ends hold to it. */
  maxFramePayloadBytes: number;
  /** One transport message that is received. */
  maxMessageBytes: number;
  /**
   * One transport message that is sent: four full frames. A long body fills its messages to the
   * byte, so that their memory is given back as soon as they are sent (`lib/memory/freeBytes`).
   */
  sendMessageBytes: number;
  /** No further message is handed to a transport that holds this much unsent. */
  transportHighWaterBytes: number;
  /** A transport that holds more than this unsent is no place for what can wait. */
  congestedAboveBytes: number;
  /** Credit that a stream begins with from agent to router, and its most. */
  creditTowardsRouterBytes: number;
  /** Credit that a stream begins with from router to agent, and its most. */
  creditTowardsAgentBytes: number;
  /** Streams that are open at once on one link. An OPEN beyond it closes the link. */
  maxStreams: number;
  /** One control message, put together from its frames. */
  maxControlBytes: number;
  /** Control frames that are read between two ticks of liveness. */
  maxControlFramesPerTick: number;
  /** Bytes of control messages that are read between two ticks of liveness. */
  maxControlBytesPerTick: number;
  /** Control frames that wait to be sent. Beyond it the peer does not read: `too_slow`. */
  maxQueuedControlBytes: number;
  /** What `write` returns false above, whatever the credit: a link that the network holds up. */
  streamLowWaterBytes: number;
  /** Bytes that wait on one stream at the router: the largest body, and a margin. */
  maxQueuedAtRouterBytes: number;
  /** Bytes that wait on one stream at the agent, beyond what `write` returned false for. */
  maxQueuedAtAgentBytes: number;
  /** Frames other than DATA that may still come for each stream that this end finished early. */
  strayFramesPerStream: number;
  /** Detail text of RESET and of a close. */
  maxDetailBytes: number;
  pingIntervalMs: number;
  /** A link without any frame for so long is dead. */
  silentAfterMs: number;
  /** The shortest of both that an agent keeps to, whatever WELCOME says. */
  leastPingIntervalMs: number;
  leastSilentAfterMs: number;
  /** From the first byte of a link to WELCOME. */
  handshakeTimeoutMs: number;
  /** From the close of a link to the cut of a transport that has not closed by itself. */
  closeGraceMs: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;

export const linkLimits: LinkLimits = {
  maxFramePayloadBytes: 16 * KiB,
  maxMessageBytes: MiB,
  sendMessageBytes: 4 * (16 * KiB + frameHeaderBytes),
  transportHighWaterBytes: 256 * KiB,
  congestedAboveBytes: 16 * KiB,
  creditTowardsRouterBytes: 256 * KiB,
  creditTowardsAgentBytes: MiB,
  maxStreams: 4096,
  maxControlBytes: MiB,
  maxControlFramesPerTick: 4096,
  maxControlBytesPerTick: 4 * MiB,
  maxQueuedControlBytes: 4 * MiB,
  streamLowWaterBytes: 64 * KiB,
  maxQueuedAtRouterBytes: 17 * MiB,
  maxQueuedAtAgentBytes: MiB,
  strayFramesPerStream: 8,
  maxDetailBytes: 120,
  pingIntervalMs: 5000,
  silentAfterMs: 30_000,
  leastPingIntervalMs: 100,
  leastSilentAfterMs: 1000,
  handshakeTimeoutMs: 10_000,
  closeGraceMs: 1000,
};

/** The most engine instances that one GRANT or HEARTBEAT names, and slots of one of them. */
export const maxInstances = 64;
export const maxInstanceSlots = 4096;

/** The most tokens that one count of an answer's usage may name. */
export const maxUsageTokens = 100_000_000;
