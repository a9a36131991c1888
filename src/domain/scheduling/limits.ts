/** Bounds of what the scheduler learns (R6, S6). Times in ms, sizes in bytes. */

/** First bytes of an instance before its own model is asked instead of its kind's. */
export const minLatencySamples = 8;

/** The longest time that is learned from; what took longer counts as this. */
export const longestMeasuredMs = 3_600_000;

/** Kinds of machines whose models are kept; the one that was asked for longest ago goes first. */
export const maxKinds = 1024;
