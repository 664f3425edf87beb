import { isIPv6 } from "node:net";
import { plainAddress } from "../http/addresses.ts";
import type { Logger } from "./log.ts";

export interface LoginAttemptsOptions {
  readonly log: Pick<Logger, "warn">;
  /** Milliseconds. */
  readonly now?: () => number;
  /** Addresses that are remembered; the one that was quiet longest is forgotten for another. */
  readonly maxAddresses?: number;
}

/** Wrong passwords in a minute that are simply wrong: people mistype. */
const FREE_ATTEMPTS = 10;
const WINDOW_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** An address that was quiet for so long begins anew. */
const FORGET_MS = 10 * 60_000;

interface Failures {
  count: number;
  windowFrom: number;
  lastAt: number;
  /** 0 until the first pause. */
  pauseMs: number;
  pausedUntil: number;
}

/**
 * Counts wrong passwords by the address that they come from, and says when the next one is refused without looking.
 * Right ones are no business of it: who shares an address with somebody who guesses is not to be locked out.
 */
export class LoginAttempts {
  readonly #log: Pick<Logger, "warn">;
  readonly #now: () => number;
  readonly #maxAddresses: number;
  /** Those that failed last come last. */
  readonly #byAddress = new Map<string, Failures>();

  constructor({ log, now = () => performance.now(), maxAddresses = 10_000 }: LoginAttemptsOptions) {
    this.#log = log;
    this.#now = now;
    this.#maxAddresses = maxAddresses;
  }

  /** Addresses that are remembered now. */
  get size(): number {
    return this.#byAddress.size;
  }

  /**
   * Counts a wrong password.
   * @param address of the client
   * @returns milliseconds for which further ones are refused; 0 when this one is answered as wrong
   */
  fail(address: string | undefined): number {
    const now = this.#now();
    const key = networkOf(address ?? "");
    const failures = this.#touch(key, now);
    if (now < failures.pausedUntil) return failures.pausedUntil - now;
    failures.count += 1;
    if (failures.count < FREE_ATTEMPTS) return 0;
    if (failures.pauseMs === 0) {
      // Once a burst: who guesses is not to fill the log.
      this.#log.warn({ address: key, failures: failures.count }, "many failed logins");
    }
    failures.pauseMs = Math.min(failures.pauseMs * 2 || FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
    failures.pausedUntil = now + failures.pauseMs;
    return 0;
  }

  #touch(key: string, now: number): Failures {
    const known = this.#byAddress.get(key);
    this.#byAddress.delete(key);
    const failures = known ?? { count: 0, windowFrom: now, lastAt: now, pauseMs: 0, pausedUntil: 0 };
    if (now - failures.lastAt >= FORGET_MS) Object.assign(failures, { count: 0, windowFrom: now, pauseMs: 0 });
    // A burst that has led to a pause lasts until its address has been quiet.
    if (failures.pauseMs === 0 && now - failures.windowFrom >= WINDOW_MS) {
      Object.assign(failures, { count: 0, windowFrom: now });
    }
    failures.lastAt = now;
    if (this.#byAddress.size >= this.#maxAddresses) {
      const [quietest] = this.#byAddress.keys();
      if (quietest !== undefined) this.#byAddress.delete(quietest);
    }
    this.#byAddress.set(key, failures);
    return failures;
  }
}

/** One subscriber has at least 64 bits of IPv6 addresses to himself, but few of IPv4. */
export function networkOf(address: string): string {
  const plain = plainAddress(address);
  if (!isIPv6(plain) || plain === "::1") return plain;
  // In the URL parser's spelling: there are many of each address.
  const [head = "", tail] = new URL(`http://[${plain}]`).hostname.slice(1, -1).split("::");
  const groups = head === "" ? [] : head.split(":");
  const behind = tail === undefined || tail === "" ? [] : tail.split(":");
  const whole = [...groups, ...new Array<string>(Math.max(0, 8 - groups.length - behind.length)).fill("0"), ...behind];
  return `${whole.slice(0, 4).join(":")}::/64`;
}
