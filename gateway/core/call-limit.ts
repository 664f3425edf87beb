import { fullJitterBackoff } from "./retry-policy.ts";

/** What the limit of a function's asynchronous calls depends on. */
export interface LimitSnapshot {
  readonly readyReplicas: number;
  /** Calls one replica takes at a time; absent or 0 when that is not known. */
  readonly maxInflight?: number | undefined;
}

/**
 * Calls of a function that may be under way while nobody refuses any.
 * @param snapshot undefined when the function is not known: its calls then end quickly, one way or another
 * @param perReplica for replicas that do not say how many they take
 */
export function fullLimit(snapshot: LimitSnapshot | undefined, perReplica: number): number {
  if (!snapshot) return perReplica;
  // One call wakes a sleeping function; more would only wait with it.
  if (snapshot.readyReplicas === 0) return 1;
  return snapshot.readyReplicas * (snapshot.maxInflight || perReplica);
}

/**
 * How far calls of a function are held back because the platform refused some: cut by half with a refusal, grown by a
 * tenth of the full limit with each round of successes.
 */
export interface BackOff {
  /** Of the full limit; above 0, at most 1. */
  readonly share: number;
  /** When it was cut. What began before says nothing about the new share. */
  readonly cutAt: number;
  /** Refusals in a row while only one call at a time was tried. */
  readonly consecutiveRefusals: number;
  /** Until then no call is tried. */
  readonly pausedUntil: number;
}

export const NO_BACK_OFF: BackOff = {
  share: 1,
  cutAt: Number.NEGATIVE_INFINITY,
  consecutiveRefusals: 0,
  pausedUntil: 0,
};

const CUT = 0.5;
const GROWTH = 0.1;
const MIN_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2000;
/** A refusal this long ago says nothing about today. */
const FORGOTTEN_AFTER_MS = 60_000;

/** Calls that may be under way now: 1 to `full`; 0 during a pause only, which is two seconds at most. */
export function limitNow(full: number, backOff: BackOff, now: number): number {
  if (now < backOff.pausedUntil) return 0;
  return slotsOf(full, backOff);
}

function slotsOf(full: number, { share }: BackOff): number {
  // Shares are sums of fractions; what is a hair below a whole place is that place.
  return Math.max(1, Math.floor(full * share + 1e-6));
}

export interface RefusedCall {
  readonly full: number;
  /** When the refused call was sent. */
  readonly startedAt: number;
  readonly now: number;
  /** From 0 up to but not including 1. */
  readonly random: number;
}

/** Calls that were refused together count once. Below one call at a time, the time between two is what grows. */
export function afterRefusal(backOff: BackOff, { full, startedAt, now, random }: RefusedCall): BackOff {
  if (startedAt < backOff.cutAt) return backOff;
  const share = Math.max(1 / full, backOff.share * CUT);
  if (slotsOf(full, backOff) > 1)
    return { share, cutAt: now, consecutiveRefusals: 0, pausedUntil: backOff.pausedUntil };
  const consecutiveRefusals = backOff.consecutiveRefusals + 1;
  const pauseMs =
    MIN_PAUSE_MS + fullJitterBackoff(consecutiveRefusals, MIN_PAUSE_MS, MAX_PAUSE_MS - MIN_PAUSE_MS, random);
  return { share, cutAt: now, consecutiveRefusals, pausedUntil: now + pauseMs };
}

/** A call has been taken. */
export function afterSuccess(
  backOff: BackOff,
  { full, startedAt }: { readonly full: number; readonly startedAt: number },
): BackOff {
  if (backOff.share === 1 && backOff.consecutiveRefusals === 0) return backOff;
  if (startedAt < backOff.cutAt) return backOff;
  const slots = slotsOf(full, backOff);
  const share = Math.min(1, backOff.share + Math.max(1 / full, GROWTH) / slots);
  return { ...backOff, share, consecutiveRefusals: 0 };
}

/** Attempts of a call that the platform refused, in a row. */
export interface Refusals {
  readonly times: number;
  /** Since the first of them. */
  readonly forMs: number;
}

const MAX_REFUSALS = 200;
const MAX_REFUSED_MS = 3600_000;
const MAX_REFUSED_WAIT_MS = 30_000;

/**
 * Whether one more refusal says nothing about the call. A function that is full has room within the hour, or its calls
 * are better told of as failed; and a refusal may be none of the platform's, though it looks like one.
 */
export function isExcusable({ times, forMs }: Refusals): boolean {
  return times < MAX_REFUSALS && forMs < MAX_REFUSED_MS;
}

/** How long a call waits after a refusal: longer each time. @param times that it was refused before */
export function refusalWait(times: number, random: number): number {
  return fullJitterBackoff(times + 1, MIN_PAUSE_MS, MAX_REFUSED_WAIT_MS, random);
}

/** Whether nothing of it matters any more. */
export function isUnlimited(backOff: BackOff, now: number): boolean {
  return (backOff.share === 1 && backOff.consecutiveRefusals === 0) || now - backOff.cutAt > FORGOTTEN_AFTER_MS;
}
