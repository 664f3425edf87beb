import { bucketSubject, type FunctionQueueRef, parseFunctionQueue, UNKNOWN_QUEUE } from "../client/names.ts";

/**
 * Calls whose time has not come lie in buckets by that time, so that those due soon are found without touching the
 * others. The further off, the wider the bucket; the calls of a wide one move to narrower ones when it begins.
 */
export interface Bucket {
  /** Seconds since the epoch. */
  readonly start: number;
  readonly widthS: number;
}

const NARROW_S = 2;
const WIDTHS: readonly (readonly [upToMs: number, widthS: number])[] = [
  [60_000, NARROW_S],
  [3_600_000, 60],
  [Number.POSITIVE_INFINITY, 3600],
];
const TOKEN = /^(\d{1,12})-(\d{1,6})$/;

export function bucketOf(dueAt: number, now: number): Bucket {
  const [, widthS] = WIDTHS.find(([upToMs]) => dueAt - now < upToMs) as (typeof WIDTHS)[number];
  return { start: Math.floor(dueAt / 1000 / widthS) * widthS, widthS };
}

export function bucketToken({ start, widthS }: Bucket): string {
  return `${start}-${widthS}`;
}

/** @returns undefined for what {@link bucketToken} does not make */
export function parseBucket(token: string): Bucket | undefined {
  const match = TOKEN.exec(token);
  return match ? { start: Number(match[1]), widthS: Number(match[2]) } : undefined;
}

/** Whether to wait for `dueAt` in hand: a bucket of its own would not be narrower. */
export function isNear(dueAt: number, now: number): boolean {
  return dueAt - now <= 2 * NARROW_S * 1000;
}

export function laterSubject(bucket: Bucket, functionQueue: FunctionQueueRef): string {
  return bucketSubject(bucketToken(bucket), functionQueue);
}

/** Of a bucket's consumer. */
export function bucketFilter(token: string): string {
  return `FAASLANE.later.${token}.>`;
}

/** @returns undefined for what {@link laterSubject} does not make */
export function parseLater(subject: string): { readonly token: string; readonly functionQueue: string } | undefined {
  const [, , token, ...functionQueue] = subject.split(".");
  return token === undefined || functionQueue.length !== 3
    ? undefined
    : { token, functionQueue: functionQueue.join(".") };
}

export function functionQueueOfLater(subject: string): FunctionQueueRef {
  return parseFunctionQueue(parseLater(subject)?.functionQueue ?? "") ?? UNKNOWN_QUEUE;
}
