import type { EventObjectStatus } from "../../contract/events/event-object.ts";
import type { Logger } from "../../kit/log.ts";
import { sleep } from "../../kit/sleep.ts";
import type { SourceLead } from "../sources/source-runner.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import type { ObjectDocuments } from "./object-documents.ts";
import type { ObjectFeed } from "./object-feed.ts";
import { ObjectMirror } from "./object-mirror.ts";
import type { ObjectStatuses } from "./object-statuses.ts";
import { StatusWriter } from "./status-writer.ts";

export interface ObjectKeeperOptions {
  /** Of the processes that know the documents, one keeps those of objects. */
  readonly lead: SourceLead;
  readonly feed: ObjectFeed;
  readonly documents: ObjectDocuments;
  readonly statuses: ObjectStatuses;
  readonly resources: Pick<ResourceStore, "watch">;
  /** Resolves once it is known which functions there are. */
  readonly ready: Promise<void>;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Between two looks at how everything is, in milliseconds. Default: 5 s. */
  readonly lookMs?: number;
  readonly log: Pick<Logger, "debug" | "info" | "warn">;
}

const LOOK_MS = 5_000;
/** Changes that come together are one. */
const GATHER_MS = 50;
const WATCHED = ["broker", "trigger", "source", "sink", "flow"] as const;

/** Keeps documents as objects of the cluster declare them, and tells objects how that goes, while this process leads. */
export class ObjectKeeper {
  readonly #options: ObjectKeeperOptions;
  readonly #ends: (() => void)[];
  #leading: AbortController | undefined;
  #working: Promise<void> = Promise.resolve();
  #changed = new AbortController();
  #closed = false;
  /** Something has changed since the last pass began. */
  #isNews = false;

  constructor(options: ObjectKeeperOptions) {
    this.#options = options;
    this.#ends = [options.lead.onChange(() => this.#look())];
    for (const kind of WATCHED) this.#ends.push(options.resources.watch(kind, () => this.#wake()));
    this.#look();
  }

  #look(): void {
    const acts = !this.#closed && this.#options.lead.acts();
    if (acts === (this.#leading !== undefined)) return;
    this.#leading?.abort();
    this.#leading = undefined;
    if (!acts) return;
    const leading = new AbortController();
    this.#leading = leading;
    this.#working = this.#working
      .then(() => this.#keep(leading.signal))
      .catch((err: unknown) => this.#options.log.warn({ err }, "objects of the cluster are not followed any more"));
  }

  #wake(): void {
    this.#isNews = true;
    this.#changed.abort();
  }

  async #keep(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { feed, ready } = this.#options;
    // A new one each time: what was known before may be older than what another process has done meanwhile.
    const mirror = new ObjectMirror();
    const sink = {
      begin: () => mirror.begin(),
      apply: (event: Parameters<ObjectMirror["apply"]>[0]) => {
        mirror.apply(event);
        if (event.type !== "heartbeat") this.#wake();
      },
    };
    const following = feed.follow(sink, signal);
    const ended = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    await Promise.race([ready, ended]);
    await this.#passes(mirror, signal);
    await following;
  }

  async #passes(mirror: ObjectMirror, signal: AbortSignal): Promise<void> {
    const { lookMs = LOOK_MS, feed, now, log } = this.#options;
    const writer = new StatusWriter({ report: feed.report.bind(feed), now, log });
    let failing = false;
    while (!signal.aborted) {
      this.#changed = new AbortController();
      try {
        if (mirror.kinds && (this.#isNews || mirror.size > 0)) {
          this.#isNews = false;
          await this.#pass(mirror, writer, signal);
        }
        failing = false;
      } catch (err) {
        if (signal.aborted) return;
        log[failing ? "debug" : "warn"](
          { err },
          "what objects of the cluster declare cannot be kept now; trying again",
        );
        failing = true;
        this.#isNews = true;
        // What has failed would do so again at once.
        this.#changed = new AbortController();
      }
      await sleep(lookMs, AbortSignal.any([signal, this.#changed.signal]));
      await sleep(GATHER_MS, signal);
    }
  }

  async #pass(mirror: ObjectMirror, writer: StatusWriter, signal: AbortSignal): Promise<void> {
    const { documents, statuses } = this.#options;
    const declared = await documents.reconcile(mirror, signal);
    const all: EventObjectStatus[] = [];
    for (const object of [...mirror.objects]) {
      if (signal.aborted) return;
      all.push(await statuses.of(object, documents.problemOf(object), declared));
    }
    await writer.write(all, signal);
  }

  /** Resolves once nothing is under way. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const end of this.#ends.splice(0)) end();
    this.#look();
    await this.#working;
  }
}
