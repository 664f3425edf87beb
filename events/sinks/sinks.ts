import type { CloudEvent } from "../codec/cloud-event.ts";
import type { DeliveryAttempt } from "../delivery/next-attempt.ts";
import { explainFailure } from "../links/explain.ts";
import type { EventResource, ResourceStore } from "../store/resource-store.ts";
import { KeptSink, type KeptSinkDeps } from "./kept-sink.ts";
import { type SinkStatus, UNUSED } from "./sink-status.ts";

export interface SinksOptions extends KeptSinkDeps {
  readonly resources: Pick<ResourceStore, "get" | "watch">;
}

/** A declared sink, by name in its namespace. */
export interface SinkRef {
  readonly namespace: string;
  readonly name: string;
}

/** One that has not been used for so long is closed. */
const IDLE_MS = 5 * 60_000;
const LOOK_EVERY_MS = 30_000;

/** The declared sinks, as far as they are used. */
export class Sinks {
  readonly #options: SinksOptions;
  readonly #kept = new Map<string, KeptSink>();
  /** Those whose documents have been looked at since something changed. */
  readonly #fresh = new Set<string>();
  #changes = 0;
  readonly #unwatch: () => void;
  readonly #timer: NodeJS.Timeout;
  #isClosed = false;

  constructor(options: SinksOptions) {
    this.#options = options;
    this.#unwatch = options.resources.watch("sink", () => this.#changed());
    this.#timer = setInterval(() => this.#closeIdle(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** Sends an event to a declared sink. @throws the reason of `signal` when that aborts */
  async send(ref: SinkRef, event: CloudEvent, signal: AbortSignal): Promise<DeliveryAttempt> {
    let sink: KeptSink | undefined;
    try {
      sink = await this.#find(ref);
      // It was changed just now.
      if (sink?.isClosed) sink = await this.#find(ref);
    } catch (error) {
      signal.throwIfAborted();
      return { error: `the sink ${ref.name} cannot be looked up: ${explainFailure(error)}` };
    }
    signal.throwIfAborted();
    return sink ? await sink.send(event, signal) : { error: `there is no sink ${ref.name} in ${ref.namespace}` };
  }

  /** How one is in this process. */
  status({ namespace, name }: SinkRef): SinkStatus {
    return this.#kept.get(`${namespace}/${name}`)?.status ?? UNUSED;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unwatch();
    clearInterval(this.#timer);
    const kept = [...this.#kept.values()];
    this.#kept.clear();
    await Promise.all(kept.map((sink) => sink.close()));
  }

  async #find(ref: SinkRef): Promise<KeptSink | undefined> {
    const key = `${ref.namespace}/${ref.name}`;
    for (;;) {
      const kept = this.#kept.get(key);
      if (kept && this.#fresh.has(key)) return kept;
      const changes = this.#changes;
      const document = await this.#read(ref, kept);
      // What was read may be older than what is kept by now.
      if (changes !== this.#changes) continue;
      if (document === "unknown") return kept;
      return this.#keep(key, document);
    }
  }

  /** Better as it was declared before than not at all. */
  async #read(ref: SinkRef, kept: KeptSink | undefined): Promise<EventResource | undefined | "unknown"> {
    try {
      return await this.#options.resources.get({ kind: "sink", ...ref });
    } catch (error) {
      if (kept) return "unknown";
      throw error;
    }
  }

  #keep(key: string, document: EventResource | undefined): KeptSink | undefined {
    const kept = this.#kept.get(key);
    if (document && kept?.isOf(document)) {
      this.#fresh.add(key);
      return kept;
    }
    void kept?.close();
    this.#kept.delete(key);
    if (!document || this.#isClosed) return undefined;
    const sink = new KeptSink(document, this.#options);
    this.#kept.set(key, sink);
    this.#fresh.add(key);
    return sink;
  }

  /** Which one is not told. Those that are gone, or changed, are closed at once. */
  #changed(): void {
    this.#changes++;
    this.#fresh.clear();
    for (const key of this.#kept.keys()) {
      const [namespace = "", name = ""] = key.split("/");
      this.#find({ namespace, name }).catch(() => {}); // the next event looks again
    }
  }

  #closeIdle(): void {
    for (const sink of this.#kept.values()) {
      if (sink.idleMs() > IDLE_MS) sink.rest();
    }
  }
}
