import { randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { SESSION_HEADER, UNATTENDED_HEADER } from "../../../contract/ui/session.ts";
import { mentionsSession, NEAR_COOKIE, SESSION_COOKIE } from "../../../contract/ui/session-cookie.ts";
import type { Credentials } from "../../../kit/basic-auth.ts";
import { steadyNow } from "../../../kit/steady-clock.ts";
import { openSession, type SessionRecord, sealSession } from "./sealed-session.ts";

export interface SessionLimits {
  /** A session ends when it has not been used for so long, and after so long whatever is done; in milliseconds. */
  readonly idleMs: number;
  readonly maxMs: number;
}

export interface SessionsOptions {
  /** Those that people sign in with, as they are now. */
  readonly credentials: Credentials;
  readonly limits: SessionLimits;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** The same, by a clock that nobody sets: who has signed out must not be in again once that is set back. */
  readonly steady?: () => number;
}

/** A session that a request has shown to be its own. */
export interface OpenSession {
  readonly user: string;
  readonly endsAt: number;
  readonly idleEndsAt: number;
  /** To be set again, now and then, so that it does not end while it is used. */
  readonly renewed: string | undefined;
  /** Whether it still holds, as far as it was renewed by now. */
  holds(): boolean;
}

export interface BegunSession {
  readonly token: string;
  readonly cookie: string;
  readonly endsAt: number;
  readonly idleEndsAt: number;
}

/** More often a session in use is not renewed; a short one is in time. */
const RENEW_MS = 60_000;
const RENEW_PART = 1 / 4;
/** Clocks of several gateways differ. */
const AHEAD_MS = 60_000;
/** Those that have signed out are remembered until they would have ended; the oldest make room. */
const MAX_ENDED = 10_000;

/**
 * Sessions of the dashboard. A cookie that scripts cannot read, and a token that is in no cookie: a request needs both, so that
 * neither a page of a function, which the browser sends the cookie for, nor who has read the token can act with one of them.
 */
export class Sessions {
  readonly #credentials: Credentials;
  readonly #limits: SessionLimits;
  readonly #now: () => number;
  readonly #steady: () => number;
  /** Ids, and when they may be forgotten. */
  readonly #ended = new Map<string, number>();

  constructor({ credentials, limits, now = Date.now, steady = steadyNow }: SessionsOptions) {
    this.#credentials = credentials;
    this.#limits = limits;
    this.#now = now;
    this.#steady = steady;
  }

  /**
   * @param headers of who has signed in. A session that the browser has goes on, with its token: a browser has one cookie for all tabs,
   * and those that have signed in before would be out otherwise.
   */
  begin(user: string, headers: IncomingHttpHeaders = {}): BegunSession {
    const now = this.#now();
    const before = this.#recordOf(headers);
    const known = before?.user === user ? before : { id: random(16), token: random(32) };
    const record: SessionRecord = { ...known, user, begunAt: now, seenAt: now };
    return { token: record.token, cookie: sealSession(record, this.#credentials), ...this.#ends(record) };
  }

  /** @returns undefined when the request does not show a session that still holds */
  read(headers: IncomingHttpHeaders): OpenSession | undefined {
    const { [SESSION_HEADER]: token, [UNATTENDED_HEADER]: unattended } = headers;
    const record = this.#recordOf(headers);
    if (!record || typeof token !== "string" || !isSame(token, record.token)) return undefined;
    const renewMs = Math.min(RENEW_MS, this.#limits.idleMs * RENEW_PART);
    const renews = unattended === undefined && this.#now() - record.seenAt > renewMs;
    const current = renews ? { ...record, seenAt: this.#now() } : record;
    const ends = this.#ends(current);
    return {
      user: record.user,
      ...ends,
      renewed: renews ? sealSession(current, this.#credentials) : undefined,
      holds: () => !this.#ended.has(record.id) && this.#now() < ends.idleEndsAt,
    };
  }

  /**
   * The session that the cookie alone shows, with its token: for pages of an origin that no function has.
   * @returns undefined when there is none
   */
  tell(headers: IncomingHttpHeaders): (BegunSession & { readonly user: string }) | undefined {
    const record = this.#recordOf(headers);
    if (!record) return undefined;
    const current = { ...record, seenAt: this.#now() };
    return {
      user: record.user,
      token: record.token,
      cookie: sealSession(current, this.#credentials),
      ...this.#ends(current),
    };
  }

  end(headers: IncomingHttpHeaders): void {
    const record = this.#recordOf(headers);
    if (!record) return;
    if (this.#ended.size >= MAX_ENDED) {
      const [oldest] = this.#ended.keys();
      if (oldest !== undefined) this.#ended.delete(oldest);
    }
    this.#ended.set(record.id, record.begunAt + this.#limits.maxMs);
  }

  #recordOf(headers: IncomingHttpHeaders): SessionRecord | undefined {
    const { cookie } = headers;
    if (!mentionsSession(cookie)) return undefined;
    const now = this.#now();
    const over = Math.min(now, this.#steady());
    for (const [id, until] of this.#ended) if (until < over) this.#ended.delete(id);
    for (const value of cookiesOf(cookie)) {
      const record = openSession(value, this.#credentials);
      if (!record || this.#ended.has(record.id) || record.seenAt > now + AHEAD_MS) continue;
      const { endsAt, idleEndsAt } = this.#ends(record);
      if (now < endsAt && now < idleEndsAt) return record;
    }
    return undefined;
  }

  #ends({ begunAt, seenAt }: SessionRecord): { readonly endsAt: number; readonly idleEndsAt: number } {
    const { idleMs, maxMs } = this.#limits;
    return { endsAt: begunAt + maxMs, idleEndsAt: Math.min(begunAt + maxMs, seenAt + idleMs) };
  }
}

/**
 * The cookie of a session, and the one that says that there is one.
 * @param secure whether the page came by TLS
 */
export function sessionCookies(value: string, secure: boolean, maxAgeMs: number): string[] {
  const [prefix, safely] = secure ? ["__Host-", "; Secure"] : ["", ""];
  const age = Math.max(0, Math.ceil(maxAgeMs / 1000));
  const rest = `Path=/; Max-Age=${age}; HttpOnly${safely}`;
  return [
    `${prefix}${SESSION_COOKIE}=${value}; ${rest}; SameSite=Strict`,
    `${prefix}${NEAR_COOKIE}=${value && 1}; ${rest}; SameSite=Lax`,
  ];
}

function cookiesOf(header: string): string[] {
  return header.split(";").flatMap((pair) => {
    const [name = "", value = ""] = pair.trim().split("=", 2);
    return name === SESSION_COOKIE || name === `__Host-${SESSION_COOKIE}` ? [value] : [];
  });
}

const random = (bytes: number) => randomBytes(bytes).toString("base64url");

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
