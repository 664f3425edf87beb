import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { parseSticky, type Sticky } from "../../contract/versions/sticky.ts";
import type { KnownFunction } from "../core/known-function.ts";
import { chooseByKey, chooseByShare, type Share, sharesOf } from "../core/traffic/choose-version.ts";
import { cookieName, readStickyKey } from "../core/traffic/sticky-key.ts";
import { readWantedVersion } from "../core/traffic/wanted-version.ts";
import type { AnswerHeaders } from "./exchange.ts";

/** By which callers ask for a version, and learn which has answered; in lower case as all names here. */
export const VERSION_HEADER = "x-function-version";
/** Says why a version that was asked for is not the one that has answered. */
export const IGNORED_HEADER = "x-function-version-ignored";

/** The request of a call, as far as a version is chosen by it. */
export interface AskingCall {
  readonly headers: IncomingHttpHeaders;
  /** For the function, with its query. */
  readonly url: string;
  /** Where the caller has the function, for its cookie. */
  readonly path: () => string;
  /** Whether it came by TLS. */
  readonly secure: () => boolean;
}

/** What an answer has to say about how its version was chosen. */
export interface ChoiceTold {
  readonly vary?: string;
  readonly cookie?: string;
  readonly ignored?: string;
}

/** A function, or a version beside it. */
export interface VersionedEntry {
  readonly name: string;
  readonly snapshot: KnownFunction;
}

export interface Chosen<E> {
  /** Which has the replicas of the version. */
  readonly entry: E;
  /** Whether the caller has asked for it. */
  readonly asked: boolean;
  readonly told: ChoiceTold;
}

/** Chooses which of a function's versions a call gets. Functions whose calls all go to their own replicas have none. */
export class VersionSplit<E extends VersionedEntry> {
  readonly #owner: E;
  readonly #find: (version: string) => E | undefined;
  readonly #sticky: Sticky | undefined;
  /** Of versions that the provider has told of. */
  readonly #shares: readonly Share[];
  /** One for each share. */
  readonly #entries: readonly E[];
  readonly #cookie: string;
  readonly #told: ChoiceTold;

  /** @param find the entry that has the replicas of a version */
  constructor(owner: E, find: (version: string) => E | undefined) {
    const { traffic = [], annotations } = owner.snapshot;
    this.#owner = owner;
    this.#find = find;
    this.#sticky = parseSticky(annotations).sticky;
    this.#shares = sharesOf(traffic).filter(({ version }) => find(version) !== undefined);
    this.#entries = this.#shares.map(({ version }) => find(version) as E);
    this.#cookie = cookieName(owner.name);
    this.#told = { vary: varyBy(this.#shares.length > 1 ? this.#sticky : undefined) };
  }

  /** Whether more than one version gets calls. */
  get divides(): boolean {
    return this.#shares.length > 1;
  }

  choose(call: AskingCall): Chosen<E> {
    const wanted = call.headers[VERSION_HEADER];
    if (wanted === undefined) return this.#byShares(call);
    const means = readWantedVersion(String(wanted).trim(), this.#owner.snapshot);
    if ("ignored" in means) return this.#byShares(call, means.ignored);
    const entry = this.#find(means.version);
    return entry ? { entry, asked: true, told: this.#told } : this.#byShares(call, `${means.version} is gone`);
  }

  #byShares(call: AskingCall, ignored?: string): Chosen<E> {
    const shares = this.#shares;
    const sticky = this.#sticky;
    let at = 0;
    let cookie: string | undefined;
    if (shares.length > 1) {
      let key = sticky && readStickyKey(sticky, this.#cookie, call.headers, call.url);
      if (key === undefined && sticky?.kind === "cookie") {
        key = randomUUID();
        cookie = this.#newCookie(key, sticky.ttlMs, call);
      }
      at = key === undefined ? chooseByShare(shares, Math.random()) : chooseByKey(shares, key);
    }
    const entry = this.#entries[at] ?? this.#owner;
    if (cookie === undefined && ignored === undefined) return { entry, asked: false, told: this.#told };
    return {
      entry,
      asked: false,
      told: { ...this.#told, ...(cookie !== undefined && { cookie }), ...(ignored !== undefined && { ignored }) },
    };
  }

  /** Its value says nothing of versions: when their shares change, no cookie has to. */
  #newCookie(key: string, ttlMs: number, { path, secure }: AskingCall): string {
    const where = path().replaceAll(";", "%3B");
    const safely = secure() ? "; Secure" : "";
    return `${this.#cookie}=${key}; Path=${where}; Max-Age=${Math.round(ttlMs / 1000)}; HttpOnly; SameSite=Lax${safely}`;
  }
}

function varyBy(sticky: Sticky | undefined): string {
  if (sticky?.kind === "cookie") return "X-Function-Version, Cookie";
  return sticky?.kind === "header" ? `X-Function-Version, ${sticky.name}` : "X-Function-Version";
}

/** Why `wanted` is of no account to a call whose version is clear: by its address, or because there is but one. */
export function ignoredVersion(
  entry: VersionedEntry,
  wanted: string | undefined,
  byAddress: boolean,
): ChoiceTold | undefined {
  if (wanted === undefined) return undefined;
  if (byAddress) return wanted.trim() === entry.snapshot.version ? undefined : { ignored: "the address says which" };
  const means = readWantedVersion(wanted.trim(), entry.snapshot);
  return "ignored" in means ? { ignored: means.ignored } : undefined;
}

/** Adds to the function's own headers what there is to say of the choice. */
export function tellChoice(headers: AnswerHeaders, { vary, cookie, ignored }: ChoiceTold): void {
  if (ignored !== undefined) headers[IGNORED_HEADER] = ignored;
  if (cookie !== undefined) headers["set-cookie"] = [headers["set-cookie"] ?? [], cookie].flat();
  if (vary === undefined) return;
  const own = headers.vary;
  headers.vary = own === undefined ? vary : `${[own].flat().join(", ")}, ${vary}`;
}
