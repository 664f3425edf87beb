import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FaasError } from "../../../contract/errors.ts";
import { decodeFunctionStore, type StoreFunction } from "../../../contract/store.ts";
import type { UiOffer, UiOfferSources, UiStore } from "../../../contract/ui/deploy.ts";
import { readFiles } from "./read-files.ts";

export interface OffersOptions {
  /** Folder of the functions that come with the gateway, with their `store.json`. */
  readonly folder: string;
  /** Of another store; absent asks none. */
  readonly url: string | undefined;
  readonly timeoutMs?: number;
  /** Milliseconds by a clock that never goes back. */
  readonly now?: () => number;
}

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 4 * 1024 ** 2;
const KEPT_MS = 600_000;
/** After a failure it is tried again sooner. */
const FAILED_MS = 30_000;

/** Functions to choose from: those that come with the gateway, then those of a store elsewhere, as far as it can be read. */
export class Offers {
  readonly #options: OffersOptions;
  #read: Promise<UiStore> | undefined;
  #until = 0;

  constructor(options: OffersOptions) {
    this.#options = options;
  }

  async list(): Promise<UiStore> {
    const now = this.#options.now ?? (() => performance.now());
    if (this.#read === undefined || now() >= this.#until) {
      this.#until = Number.POSITIVE_INFINITY;
      this.#read = this.#readBoth();
      const keep = (ms: number) => {
        this.#until = now() + ms;
      };
      this.#read.then(
        ({ problem }) => keep(problem === undefined ? KEPT_MS : FAILED_MS),
        () => keep(0),
      );
    }
    return await this.#read;
  }

  /** What a function of our own is built from. @throws {FaasError} `notFound` */
  async sources(name: string): Promise<UiOfferSources> {
    const source = (await this.#own()).find((offer) => offer.name === name)?.source;
    if (!source) {
      throw new FaasError("notFound", `no function ${JSON.stringify(name.slice(0, 100))} comes with its sources`);
    }
    return { template: source.lang, files: await readFiles(join(this.#options.folder, source.handler)) };
  }

  async #own(): Promise<StoreFunction[]> {
    const text = await readFile(join(this.#options.folder, "store.json"), "utf8").catch(() => '{"functions":[]}');
    return decodeFunctionStore(text, "function store");
  }

  async #readBoth(): Promise<UiStore> {
    const own = (await this.#own()).map(({ source, icon: _, ...offer }) => ({
      ...offer,
      ...(source && { template: source.lang }),
    }));
    const { url } = this.#options;
    if (url === undefined) return { functions: sorted(own) };
    try {
      const names = new Set(own.map(({ name }) => name));
      const text = await download(url, this.#options.timeoutMs ?? TIMEOUT_MS);
      // What it says of sources counts for nothing: they would be files of this machine.
      const others = decodeFunctionStore(text, "function store").map(({ source: _s, icon: _i, ...offer }) => offer);
      return { functions: sorted([...own, ...others.filter(({ name }) => !names.has(name))]), url };
    } catch (error) {
      return { functions: sorted(own), url, problem: explain(error) };
    }
  }
}

function sorted(offers: readonly UiOffer[]): UiOffer[] {
  return [...offers].sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

async function download(url: string, timeoutMs: number): Promise<string> {
  const answer = await fetch(url, {
    signal: AbortSignal.timeout(timeoutMs),
    headers: { accept: "application/json" },
  });
  if (!answer.ok) {
    await answer.body?.cancel();
    throw new Error(`it answers with status ${answer.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function explain(error: unknown): string {
  const { name, message, cause } = error as Error & { cause?: NodeJS.ErrnoException };
  if (name === "TimeoutError") return "it did not answer in time";
  if (message !== "fetch failed") return message.slice(0, 300);
  return `the gateway is offline or cannot reach it (${cause?.code ?? "no connection"})`;
}
