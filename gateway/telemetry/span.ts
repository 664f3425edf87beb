import type { TraceContext } from "./trace-context.ts";

export const SPAN_KIND = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const;

export type AttributeValue = string | number | boolean;
/** By name; what is undefined is left out. Whole numbers are sent as integers. */
export type Attributes = Readonly<Record<string, AttributeValue | undefined>>;

/** Something that took time. Times in milliseconds since the epoch, with fractions. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for the first of a trace. */
  readonly parentId: string | undefined;
  readonly state: string;
  readonly name: string;
  readonly kind: (typeof SPAN_KIND)[keyof typeof SPAN_KIND];
  readonly start: number;
  readonly end: number;
  readonly attributes: Attributes;
  readonly events?: readonly SpanEvent[];
  readonly links?: readonly Pick<TraceContext, "traceId" | "spanId">[];
  readonly failed: boolean;
}

export interface SpanEvent {
  readonly name: string;
  readonly at: number;
}

/** The clock of durations as milliseconds since the epoch. It follows the system's when that is set. */
export class WallClock {
  #offset = performance.timeOrigin;
  #checkedAt = Number.NEGATIVE_INFINITY;

  /** @param at by `performance.now()` */
  of(at: number): number {
    const now = performance.now();
    if (now - this.#checkedAt > CHECK_MS) {
      this.#checkedAt = now;
      const drift = Date.now() - now - this.#offset;
      if (Math.abs(drift) > DRIFT_MS) this.#offset += drift;
    }
    return at + this.#offset;
  }
}

const CHECK_MS = 1_000;
const DRIFT_MS = 2;
