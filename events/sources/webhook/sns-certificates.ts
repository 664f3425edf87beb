import type { KeyObject } from "node:crypto";
import type { Dispatcher } from "undici";
import { request } from "undici";
import { FaasError } from "../../../contract/errors.ts";
import { signingKey } from "../../webhooks/sns.ts";

const MAX_KEPT = 10;
const MAX_FETCHES = 2;
const MAX_BYTES = 64 * 1024;
const TIMEOUT_MS = 10_000;
/** A certificate that is valid no longer is found out about by then. */
const KEPT_MS = 24 * 3600_000;
/** Strangers who name certificates that are not there have none of them asked for twice in this time. */
const REFUSED_MS = 60_000;

interface Kept {
  readonly pem: Promise<string>;
  readonly until: number;
}

/** Certificates that messages of SNS are signed with, each fetched once. */
export class SnsCertificates {
  readonly #dispatcher: Dispatcher;
  readonly #signal: AbortSignal;
  readonly #now: () => number;
  readonly #kept = new Map<string, Kept>();
  #fetching = 0;

  constructor(dispatcher: Dispatcher, signal: AbortSignal, now: () => number) {
    this.#dispatcher = dispatcher;
    this.#signal = signal;
    this.#now = now;
  }

  /** @throws {FaasError} `unauthorized` for what is no valid certificate, `unavailable` when it cannot be had now */
  async key(url: URL): Promise<KeyObject> {
    return signingKey(await this.#pem(url), this.#now());
  }

  #pem(url: URL): Promise<string> {
    const known = this.#kept.get(url.href);
    if (known && performance.now() < known.until) return known.pem;
    if (this.#fetching >= MAX_FETCHES) {
      throw new FaasError("unavailable", "too many certificates are being fetched; send again");
    }
    this.#fetching++;
    const pem = fetchText(url, this.#dispatcher, this.#signal).finally(() => {
      this.#fetching--;
    });
    this.#keep(url.href, pem, KEPT_MS);
    pem.catch((error: unknown) => {
      // One that is not there stays so for a while; whatever else went wrong may be over with the next message.
      if (error instanceof FaasError && error.kind === "unauthorized") this.#keep(url.href, pem, REFUSED_MS);
      else this.#kept.delete(url.href);
    });
    return pem;
  }

  #keep(href: string, pem: Promise<string>, ms: number): void {
    this.#kept.delete(href);
    this.#kept.set(href, { pem, until: performance.now() + ms });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }
}

/**
 * Asks a URL, follows no redirect, and reads no more than a certificate or a short answer has.
 * @throws {FaasError} `unauthorized` for an answer that is none, `unavailable` otherwise
 */
export async function fetchText(url: URL, dispatcher: Dispatcher, signal: AbortSignal): Promise<string> {
  let status: number;
  const parts: Buffer[] = [];
  try {
    const answer = await request(url, {
      dispatcher,
      headers: { "user-agent": "faaslane" },
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    status = answer.statusCode;
    let bytes = 0;
    for await (const part of answer.body) {
      bytes += (part as Buffer).length;
      if (bytes > MAX_BYTES) throw new Error("the answer is too large");
      parts.push(part as Buffer);
    }
  } catch (cause) {
    throw new FaasError("unavailable", `${url.origin} cannot be asked now`, { cause });
  }
  if (status === 200) return Buffer.concat(parts).toString();
  const message = `${url.origin} has answered with status ${status}`;
  throw new FaasError(status >= 500 || status === 429 ? "unavailable" : "unauthorized", message);
}
