import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { SESSION_HEADER } from "../../../contract/ui/session.ts";
import { mentionsSession, SESSION_COOKIE } from "../../../contract/ui/session-cookie.ts";
import type { Credentials } from "../../../kit/basic-auth.ts";
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
}

/** A session that a request has shown to be its own. */
export interface OpenSession {
  readonly user: string;
  readonly endsAt: number;
  readonly idleEndsAt: number;
  /** To be set again, now and then, so that it does not end while it is used. */
  readonly renewed: string | undefined;
}

export interface BegunSession {
  readonly token: string;
  readonly cookie: string;
  readonly endsAt: number;
  readonly idleEndsAt: number;
}

/** More often a session in use is not renewed. */
const RENEW_MS = 60_000;
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
  /** Ids, and when they may be forgotten. */
  readonly #ended = new Map<string, number>();

  constructor({ credentials, limits, now = Date.now }: SessionsOptions) {
    this.#credentials = credentials;
    this.#limits = limits;
    this.#now = now;
  }

  begin(user: string): BegunSession {
    const token = randomBytes(32).toString("base64url");
    const now = this.#now();
    const id = randomBytes(16).toString("base64url");
    const record: SessionRecord = { id, user, token: hashOf(token), begunAt: now, seenAt: now };
    return { token, cookie: sealSession(record, this.#credentials), ...this.#ends(record) };
  }

  /** @returns undefined when the request does not show a session that still holds */
  read(headers: IncomingHttpHeaders): OpenSession | undefined {
    const { [SESSION_HEADER]: token } = headers;
    const record = this.#recordOf(headers);
    if (!record || typeof token !== "string" || !isSame(hashOf(token), record.token)) return undefined;
    const renews = this.#now() - record.seenAt > RENEW_MS;
    const current = renews ? { ...record, seenAt: this.#now() } : record;
    return {
      user: record.user,
      ...this.#ends(current),
      renewed: renews ? sealSession(current, this.#credentials) : undefined,
    };
  }

  /**
   * The session that the cookie alone shows, and its token anew: for pages of an origin that no function has.
   * @returns undefined when there is none
   */
  renewToken(headers: IncomingHttpHeaders): (BegunSession & { readonly user: string }) | undefined {
    const record = this.#recordOf(headers);
    if (!record) return undefined;
    const token = randomBytes(32).toString("base64url");
    const current = { ...record, token: hashOf(token), seenAt: this.#now() };
    return { user: record.user, token, cookie: sealSession(current, this.#credentials), ...this.#ends(current) };
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
    for (const [id, until] of this.#ended) if (until < now) this.#ended.delete(id);
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

/** @param secure whether the page came by TLS */
export function sessionCookie(value: string, secure: boolean, maxAgeMs: number): string {
  const [prefix, safely] = secure ? ["__Host-", "; Secure"] : ["", ""];
  const age = Math.max(0, Math.ceil(maxAgeMs / 1000));
  return `${prefix}${SESSION_COOKIE}=${value}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Strict${safely}`;
}

function cookiesOf(header: string): string[] {
  return header.split(";").flatMap((pair) => {
    const [name = "", value = ""] = pair.trim().split("=", 2);
    return name === SESSION_COOKIE || name === `__Host-${SESSION_COOKIE}` ? [value] : [];
  });
}

const hashOf = (token: string) => createHash("sha256").update(token).digest("base64url");

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
