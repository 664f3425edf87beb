import type { JSONWebKeySet } from "jose";
import { request } from "undici";
import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import type { Logger } from "../../kit/log.ts";

export interface KeySetsOptions {
  readonly log: Pick<Logger, "info" | "warn">;
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
  /** Asks for the set at a URL. */
  readonly fetch?: (url: string) => Promise<JSONWebKeySet>;
}

/** A set is asked for anew after this, in the background. */
export const FRESH_MS = 10 * 60_000;
/** While the issuer is away its last set serves for so long; a key that it has taken back is good no longer than that. */
export const STALE_MS = 60 * 60_000;
/** Between two questions because of keys that are not known; tokens are made up at no cost. */
export const FLOOR_MS = 30_000;
/** Between two questions to an issuer that does not answer. */
export const RETRY_MS = 5_000;
/** Issuers that are remembered. */
const MAX_SETS = 1_000;

/** The public keys of issuers of tokens, by the URL of each set. */
export class KeySets {
  readonly #options: Required<Omit<KeySetsOptions, "log">> & Pick<KeySetsOptions, "log">;
  readonly #sets = new Map<string, KeySet>();

  constructor({ log, now = () => performance.now(), fetch = fetchKeySet }: KeySetsOptions) {
    this.#options = { log, now, fetch };
  }

  of(url: string): KeySet {
    let set = this.#sets.get(url);
    if (!set) {
      if (this.#sets.size >= MAX_SETS) this.#sets.delete(this.#sets.keys().next().value as string);
      set = new KeySet(url, this.#options);
      this.#sets.set(url, set);
    }
    return set;
  }
}

/** One issuer's keys, asked for as seldom as can be. */
export class KeySet {
  readonly #url: string;
  readonly #options: Required<KeySetsOptions>;
  #keys: JSONWebKeySet | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #failed = false;
  #asking: Promise<void> | undefined;

  constructor(url: string, options: Required<KeySetsOptions>) {
    this.#url = url;
    this.#options = options;
  }

  /** @throws {FaasError} `unavailable` when there are none, or none that are young enough */
  async keys(): Promise<JSONWebKeySet> {
    const ageMs = this.#options.now() - this.#fetchedAt;
    if (ageMs < FRESH_MS && this.#keys) return this.#keys;
    const asking = this.#ask(this.#failed ? RETRY_MS : 0);
    if (ageMs < STALE_MS && this.#keys) return this.#keys;
    await asking;
    if (this.#keys && this.#options.now() - this.#fetchedAt < STALE_MS) return this.#keys;
    throw new FaasError("unavailable", "the keys of the issuer of tokens cannot be had", { code: "auth_unavailable" });
  }

  /** The keys after another look for one that was not among them; undefined when it is too early for that. */
  async renewed(): Promise<JSONWebKeySet | undefined> {
    const before = this.#keys;
    await this.#ask(FLOOR_MS);
    return this.#keys === before ? undefined : this.#keys;
  }

  /** Asks, unless it was asked less than `floorMs` ago; one question at a time. */
  #ask(floorMs: number): Promise<void> {
    const now = this.#options.now();
    if (this.#asking) return this.#asking;
    if (now - this.#askedAt < floorMs) return Promise.resolve();
    this.#askedAt = now;
    this.#asking = this.#fetch().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #fetch(): Promise<void> {
    const { log, now, fetch } = this.#options;
    try {
      this.#keys = await fetch(this.#url);
      this.#fetchedAt = now();
      if (this.#failed) log.info({ url: this.#url }, "the keys of an issuer of tokens can be had again");
      this.#failed = false;
    } catch (err) {
      if (!this.#failed) log.warn({ err, url: this.#url }, "the keys of an issuer of tokens cannot be had");
      this.#failed = true;
    }
  }
}

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 256 * 1024;
const MAX_KEYS = 100;

/**
 * Asks for a set of keys. Redirects are not followed: keys come from where the function says, or not at all.
 * @throws when what comes is too late, too large, or no set of keys
 * @see RFC 7517 §5
 */
export async function fetchKeySet(url: string): Promise<JSONWebKeySet> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const { statusCode, body } = await request(url, {
    headers: { accept: "application/jwk-set+json, application/json" },
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    signal,
  });
  if (statusCode !== 200) {
    body.on("error", () => {}).destroy();
    throw new Error(`status ${statusCode}, not 200`);
  }
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES} bytes`);
    pieces.push(piece);
  }
  return readKeySet(Buffer.concat(pieces).toString("utf8"));
}

/** @throws when `text` is no set of keys */
export function readKeySet(text: string): JSONWebKeySet {
  const value = parseJson(text, "keys");
  const keys = typeof value === "object" && value !== null && "keys" in value ? value.keys : undefined;
  if (!Array.isArray(keys) || keys.length > MAX_KEYS) throw new Error(`not a set of at most ${MAX_KEYS} keys`);
  if (!keys.every((key) => typeof key === "object" && key !== null && typeof key.kty === "string")) {
    throw new Error("something in it is no key");
  }
  return { keys };
}
