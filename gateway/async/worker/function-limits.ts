import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import {
  afterRefusal,
  afterSuccess,
  type BackOff,
  fullLimit,
  isUnlimited,
  limitNow,
  NO_BACK_OFF,
} from "../../core/call-limit.ts";
import type { FunctionSnapshots } from "./function-snapshots.ts";

export interface FunctionLimitsOptions {
  readonly functions: FunctionSnapshots;
  /** Calls at a time per replica that does not say how many it takes. */
  readonly perFunction: number;
  /** Called for functions whose limit may have changed. */
  readonly changed: (ref: FunctionRef) => void;
  /** Milliseconds, with fractions: on loopback several calls fit into one. */
  readonly clock: () => number;
  readonly random: () => number;
}

const MIN_WAIT_MS = 50;
const SWEEP_ABOVE = 1000;

/** How many calls of each function may be under way: as its replicas allow, less while calls are refused. */
export class DeliveryLimits {
  readonly #options: FunctionLimitsOptions;
  /** Of functions that are held back; the others have no entry. */
  readonly #backOffs = new Map<string, BackOff>();
  readonly #pauses = new Map<string, NodeJS.Timeout>();
  readonly #forget: () => void;
  #sweepAbove = SWEEP_ABOVE;

  constructor(options: FunctionLimitsOptions) {
    this.#options = options;
    this.#forget = options.functions.onChange(options.changed);
  }

  limitOf(ref: FunctionRef): number {
    return limitNow(this.#fullLimit(ref), this.#find(ref), this.#options.clock());
  }

  /**
   * The platform has refused a call because there was no room for it.
   * @param startedAt when the call was sent
   * @returns milliseconds until it makes sense to try that call again
   */
  refused(ref: FunctionRef, startedAt: number): number {
    const { clock, random } = this.#options;
    const at = clock();
    const full = this.#fullLimit(ref);
    const next = afterRefusal(this.#find(ref), { full, startedAt, now: at, random: random() });
    this.#put(ref, next);
    if (next.pausedUntil > at) this.#tellAfter(ref, next.pausedUntil - at);
    // Calls that were refused together must not all come back at once.
    return Math.max(0, next.pausedUntil - at) + Math.round(MIN_WAIT_MS * (1 + random()));
  }

  /** A call has been taken. @param startedAt when it was sent */
  accepted(ref: FunctionRef, startedAt: number): void {
    const before = this.#backOffs.get(qualifiedName(ref));
    if (before) this.#put(ref, afterSuccess(before, { full: this.#fullLimit(ref), startedAt }));
  }

  /** Tells nothing any more. */
  close(): void {
    this.#forget();
    for (const timer of this.#pauses.values()) clearTimeout(timer);
    this.#pauses.clear();
  }

  #fullLimit(ref: FunctionRef): number {
    return fullLimit(this.#options.functions.find(ref), this.#options.perFunction);
  }

  #find(ref: FunctionRef): BackOff {
    const backOff = this.#backOffs.get(qualifiedName(ref));
    return backOff && !isUnlimited(backOff, this.#options.clock()) ? backOff : NO_BACK_OFF;
  }

  #put(ref: FunctionRef, backOff: BackOff): void {
    const key = qualifiedName(ref);
    const now = this.#options.clock();
    const full = this.#fullLimit(ref);
    const before = limitNow(full, this.#backOffs.get(key) ?? NO_BACK_OFF, now);
    if (isUnlimited(backOff, now)) this.#backOffs.delete(key);
    else this.#backOffs.set(key, backOff);
    if (limitNow(full, this.#backOffs.get(key) ?? NO_BACK_OFF, now) !== before) this.#options.changed(ref);
    if (this.#backOffs.size > this.#sweepAbove) this.#sweep(now);
  }

  /** Functions whose calls have ceased would stay for ever. */
  #sweep(now: number): void {
    for (const [key, backOff] of this.#backOffs) if (isUnlimited(backOff, now)) this.#backOffs.delete(key);
    this.#sweepAbove = Math.max(SWEEP_ABOVE, 2 * this.#backOffs.size);
  }

  #tellAfter(ref: FunctionRef, waitMs: number): void {
    const key = qualifiedName(ref);
    clearTimeout(this.#pauses.get(key));
    const timer = setTimeout(() => {
      this.#pauses.delete(key);
      this.#options.changed(ref);
    }, waitMs);
    this.#pauses.set(key, timer.unref());
  }
}
