/** An expected outcome that is not the wished one (S3); the reason is for programs. */
export type Refused<Reason extends string> = { ok: false; reason: Reason };
