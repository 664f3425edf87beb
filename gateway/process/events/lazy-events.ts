import { existsSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { FaasError, toFaasError, withCode } from "../../../contract/errors.ts";
import type { FunctionRef } from "../../../contract/functions.ts";
import { qualifiedName } from "../../../contract/functions.ts";
import type { ObjectFeed } from "../../../events/objects/object-feed.ts";
import type { BrokerStats } from "../../../events/store/event-store.ts";
import { answerError } from "../../../kit/answer-error.ts";
import { keepTrying } from "../../../kit/keep-trying.ts";
import type { Logger } from "../../../kit/log.ts";
import { StartError } from "../../../kit/process.ts";
import { type EventsParts, stoppingError } from "../../app.ts";
import type { MeteredRuns, MeteredSource } from "../../metrics/event-metrics.ts";
import type { EmbeddedEventsConfig, JetStreamEventsConfig } from "../events-config.ts";

/** All that events need at work. */
export interface OpenEvents extends EventsParts {
  /** Why it will never work again in this process; undefined while there is hope. */
  problem(): string | undefined;
  /** Of all brokers that are known to have events. */
  stats(): Promise<readonly BrokerStats[]>;
  /** Those that this process knows of. */
  sources(): readonly MeteredSource[];
  /** Runs of flows, where this process looks after them. */
  runs(): readonly MeteredRuns[];
  /** Takes no more deliveries, stops sources, and finishes what is under way as far as the time goes. */
  drain(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

interface Snapshot {
  readonly snapshot: { readonly annotations: Readonly<Record<string, string>> };
}

export interface LazyEventsOptions {
  readonly config: EmbeddedEventsConfig | JetStreamEventsConfig;
  /** Loads and opens all of it. */
  readonly open: () => Promise<OpenEvents>;
  readonly table: {
    entries(): Iterable<Snapshot>;
    find(target: string): Snapshot | undefined;
    onChange(listener: (ref: FunctionRef) => void): () => void;
    readonly whenSynced: Promise<void>;
  };
  /** Objects of a cluster that declare events; nobody looks for them where it is open anyway. */
  readonly objects?: Pick<ObjectFeed, "follow">;
  readonly log: Pick<Logger, "warn">;
}

/** How functions say that they want events. */
const TOPIC = "topic";
const PREFIX = "com.faaslane.events.";
/** Between two tries to open what functions wait for: the shortest and the longest wait. */
const OPEN_WAIT_MS = [500, 15_000] as const;
/** However many ask, what could not be opened is not tried more often. */
const REOPEN_MS = 500;

/**
 * Opens events when they are first used: by a request, by a function that wants some, or as there are some from before. A
 * platform without events has no part of them in its memory.
 */
export class LazyEvents implements EventsParts {
  readonly #options: LazyEventsOptions;
  readonly #closing = new AbortController();
  /** Nobody has to look for objects any more: it is open, or about to be. */
  readonly #found = new AbortController();
  readonly #unwatch: () => void;
  #opening: Promise<OpenEvents> | undefined;
  #waking: Promise<void> | undefined;
  #opened: OpenEvents | undefined;
  /** Why it could not be opened, and until when that is not tried again. */
  #refusal: { readonly error: unknown; readonly until: number } | undefined;

  constructor(options: LazyEventsOptions) {
    this.#options = options;
    const { table, config } = options;
    this.#unwatch = table.onChange((ref) => {
      if (!this.#waking && wantsEvents(table.find(qualifiedName(ref)))) this.wake();
    });
    // What others have declared on NATS shows only there.
    const isThere = config.kind === "embedded" ? existsSync(config.path) : config.ownWorker;
    void table.whenSynced.then(() => (isThere ? this.wake() : this.#wakeForObjects()));
  }

  /** An object of the cluster that declares something has to be acted on. */
  #wakeForObjects(): void {
    const { config, objects } = this.#options;
    if (config.kind !== "embedded" || this.#found.signal.aborted) return;
    const apply = ({ type }: { readonly type: string }) => {
      if (type === "object") this.wake();
    };
    void objects?.follow({ begin: () => {}, apply }, AbortSignal.any([this.#found.signal, this.#closing.signal]));
  }

  /** As far as it is open. */
  get opened(): OpenEvents | undefined {
    return this.#opened;
  }

  /** Has it opened in the background, sooner or later. */
  wake(): void {
    if (this.#waking || this.#closing.signal.aborted) return;
    this.#unwatch();
    this.#found.abort();
    this.#waking = keepTrying(
      async () => {
        try {
          await this.#open();
          return true;
        } catch (err) {
          this.#options.log.warn({ err }, "events cannot be opened; trying again");
          return false;
        }
      },
      OPEN_WAIT_MS,
      this.#closing.signal,
    );
  }

  /** @throws {FaasError} `unavailable` when it cannot be opened now; why is in the log, as it may name files */
  async open(): Promise<OpenEvents> {
    try {
      return await this.#open();
    } catch (error) {
      if (!(error instanceof StartError)) throw storeError(error);
      // From now on it is tried, and told of, in the background as well.
      this.wake();
      throw new FaasError("unavailable", "events cannot be opened now", { cause: error, code: "events_unavailable" });
    }
  }

  async #open(): Promise<OpenEvents> {
    if (this.#closing.signal.aborted) throw stoppingError();
    if (this.#refusal && performance.now() < this.#refusal.until) throw this.#refusal.error;
    if (!this.#opening) {
      const opening = this.#options.open();
      this.#opening = opening;
      opening.then(
        (opened) => {
          this.#opened = opened;
          this.#found.abort();
        },
        (error: unknown) => {
          this.#opening = undefined;
          this.#refusal = { error, until: performance.now() + REOPEN_MS };
        },
      );
    }
    return await this.#opening;
  }

  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    let opened = this.#opened;
    try {
      opened ??= await this.open();
    } catch (thrown) {
      answerError(res, toFaasError(thrown), {});
      return;
    }
    await opened.handle(req, res);
  }

  readonly control: EventsParts["control"] = async (req, res, next) => {
    const { control } = this.#opened ?? (await this.open());
    await control(req, res, (error?: unknown) => next(storeError(error)));
  };

  problem(): string | undefined {
    return this.#opened?.problem();
  }

  /** Afterwards it is not opened any more. */
  async drain(timeoutMs: number): Promise<void> {
    await this.#stopOpening();
    await this.#opened?.drain(timeoutMs);
  }

  async close(): Promise<void> {
    await this.#stopOpening();
    await this.#opened?.close();
  }

  async #stopOpening(): Promise<void> {
    this.#closing.abort();
    this.#unwatch();
    await this.#waking;
    await this.#opening?.catch(() => {}); // whoever asked for it knows
  }
}

/** What failed as the store is away says so by its code. */
function storeError(error: unknown): unknown {
  return error instanceof FaasError ? withCode(error, "events_unavailable", "unavailable") : error;
}

function wantsEvents(found: Snapshot | undefined): boolean {
  for (const name in found?.snapshot.annotations) if (name === TOPIC || name.startsWith(PREFIX)) return true;
  return false;
}
