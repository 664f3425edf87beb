import { FaasError } from "../../contract/errors.ts";
import type { ReplayDryRun, ReplayReport, ReplayRequest } from "../../contract/events/replay-spec.ts";
import type { Logger } from "../../kit/log.ts";
import { steadyNow } from "../../kit/steady-clock.ts";
import { DEFAULT_POLICY } from "../delivery/delivery-policy.ts";
import type { EventStore } from "../store/event-store.ts";
import type { EventResource, ResourceStore } from "../store/resource-store.ts";
import type { Trigger, TriggerSet } from "../triggers/trigger.ts";
import { compareRefs, findEvents } from "./find-events.ts";
import {
  beginReplay,
  buildReplayReport,
  deliveriesAgain,
  isReplayOver,
  type Replay,
  receiverOf,
  triggerIdOf,
} from "./replay.ts";
import { type ReplayProgress, ReplayRun, selectedEvents } from "./replay-run.ts";
import { unknownEvent, unknownReplay } from "./unknown.ts";

export interface ReplaysOptions {
  readonly store: Pick<EventStore, "list" | "find" | "deliverAgain" | "drop">;
  readonly resources: ResourceStore;
  /** Whether replays run in this process: in one of all. */
  readonly leads: () => boolean;
  readonly now: () => number;
  readonly log: Pick<Logger, "info" | "warn" | "debug">;
}

/** Kept of a namespace; the oldest that have ended make room. */
const MAX_REPLAYS = 200;
/** How long one that has ended is told of, and its deliveries may last. */
const KEPT_MS = 7 * 24 * 3600_000;
/** Events that a replay may name one by one, those that share an id among them. */
const MAX_NAMED = 1_000;
const MAX_DRY_EVENTS = 100_000;
const MAX_DRY_MS = 20_000;
const SAMPLE = 10;
/** Between two looks at who leads, and at what there is to do. */
const LOOK_MS = 1_000;
/** Calls at a time to the function that a replay goes to. */
const CONCURRENCY = 10;

const never = () => ({ passes: false, reason: "gets only what is replayed to it" });

interface Kept {
  readonly replay: Replay;
  readonly version: number;
}

/** Replays: what there is, what comes of it, and the runs themselves on the process that leads. */
export class Replays implements TriggerSet {
  readonly #options: ReplaysOptions;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #runs = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>();
  #unwatch: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #warned = false;
  #making: Promise<void> = Promise.resolve();
  #triggers: readonly Trigger[] = [];
  /** Some may have to be run. */
  #open = true;

  constructor(options: ReplaysOptions) {
    this.#options = options;
  }

  /** Begins with what there is, and follows it. */
  async start(): Promise<void> {
    this.#unwatch = this.#options.resources.watch("replay", () => void this.#look());
    this.#timer = setInterval(() => this.#open && void this.#look(), LOOK_MS);
    this.#timer.unref();
    await this.#look();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#unwatch?.();
    clearInterval(this.#timer);
    await this.#looking;
    await Promise.all([...this.#runs.values()].map(({ ended }) => ended));
  }

  /** Those that deliver to a function for a replay. */
  get all(): readonly Trigger[] {
    return this.#triggers;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** @throws {FaasError} `invalid`; `notFound` for a named event; `conflict` when there is one of that name; `overloaded` */
  async create(request: ReplayRequest, namespace: string): Promise<ReplayReport> {
    const { resources, now } = this.#options;
    const replay = await this.#withRefs(beginReplay(request, namespace, now()));
    // One at a time: each has to count those before it.
    const made = this.#making.then(async () => {
      await this.#makeRoom(namespace);
      await resources.put({ kind: "replay", namespace, name: replay.name, spec: replay }, 0);
    });
    this.#making = made.catch(() => undefined);
    try {
      await made;
    } catch (error) {
      if (!(error instanceof FaasError) || error.kind !== "conflict") throw error;
      throw new FaasError("conflict", `there is a replay ${replay.name} already`, { cause: error });
    }
    void this.#look();
    return buildReplayReport(replay);
  }

  /** What a replay would do. @throws {FaasError} `invalid` */
  async dryRun(request: ReplayRequest, namespace: string): Promise<ReplayDryRun> {
    const replay = await this.#withRefs(beginReplay(request, namespace, this.#options.now()));
    const deliveries: Record<string, number> = {};
    const sample: ReplayDryRun["sample"] = [];
    const until = performance.now() + MAX_DRY_MS;
    let count = 0;
    let more = false;
    for await (const record of selectedEvents(this.#options.store, replay)) {
      if (count >= MAX_DRY_EVENTS || performance.now() > until) {
        more = true;
        break;
      }
      const again = deliveriesAgain(record, replay);
      if (again.length === 0) continue;
      count++;
      for (const { trigger } of again) {
        const where = receiverOf(replay) ? (replay.to as string) : trigger;
        deliveries[where] = (deliveries[where] ?? 0) + 1;
      }
      const { ref, arrivedAt, event } = record.event;
      const { id, type } = event.attributes;
      if (sample.length < SAMPLE) {
        sample.push({ ref, id: String(id), type: String(type), arrivedAt: new Date(arrivedAt).toISOString() });
      }
    }
    return { count, more, deliveries, sample };
  }

  /** Newest first. */
  async list(namespace: string): Promise<ReplayReport[]> {
    const kept = await this.#kept(namespace);
    return kept.sort((a, b) => b.replay.createdAt - a.replay.createdAt).map(({ replay }) => buildReplayReport(replay));
  }

  /** @throws {FaasError} `notFound` */
  async get(namespace: string, name: string): Promise<ReplayReport> {
    return buildReplayReport((await this.#find(namespace, name)).replay);
  }

  /**
   * Ends one that runs; forgets one that has ended.
   * @returns the one that was ended, undefined for one that was forgotten
   * @throws {FaasError} `notFound`
   */
  async remove(namespace: string, name: string): Promise<ReplayReport | undefined> {
    for (;;) {
      const { replay, version } = await this.#find(namespace, name);
      if (isReplayOver(replay)) {
        await this.#forget(replay);
        return undefined;
      }
      const { problem: _, ...rest } = replay;
      const cancelled: Replay = { ...rest, state: "CANCELLED", endedAt: this.#options.now() };
      if (!(await this.#put(cancelled, version))) continue;
      this.#runs.get(triggerIdOf(replay))?.stop.abort();
      if (receiverOf(replay)) await this.#options.store.drop(triggerIdOf(replay), `the replay ${name} was cancelled`);
      return buildReplayReport(cancelled);
    }
  }

  /** Names of single events may be their ids, which several can have. @throws {FaasError} `notFound` */
  async #withRefs(replay: Replay): Promise<Replay> {
    if (!replay.events) return replay;
    const refs = new Set<string>();
    for (const name of replay.events) {
      const { events } = await findEvents(this.#options.store, replay.namespace, { name }, MAX_NAMED);
      if (events.length === 0) throw unknownEvent(name);
      if (events.length > 1 && events.some(({ event }) => event.ref === name)) {
        throw new FaasError(
          "invalid",
          `replay: events: ${name} is the ref of one event and the id of another; ref:${name} is the first`,
        );
      }
      for (const { event } of events) refs.add(event.ref);
      if (refs.size > MAX_NAMED)
        throw new FaasError("invalid", `replay: events: are more than ${MAX_NAMED} by their ids`);
    }
    return { ...replay, events: [...refs].sort(compareRefs) };
  }

  async #forget(replay: Replay): Promise<void> {
    const { namespace, name } = replay;
    await this.#options.resources.remove({ kind: "replay", namespace, name });
    if (receiverOf(replay)) await this.#options.store.drop(triggerIdOf(replay), `the replay ${name} was removed`);
  }

  async #makeRoom(namespace: string): Promise<void> {
    const kept = await this.#kept(namespace);
    const ended = kept
      .filter(({ replay }) => isReplayOver(replay))
      .sort((a, b) => a.replay.createdAt - b.replay.createdAt);
    const surplus = kept.length + 1 - MAX_REPLAYS;
    if (surplus > ended.length) {
      throw new FaasError("overloaded", `there are ${kept.length} replays that have not ended; cancel some of them`);
    }
    for (const { replay } of ended.slice(0, Math.max(0, surplus))) await this.#forget(replay);
  }

  async #find(namespace: string, name: string): Promise<Kept> {
    const resource = await this.#options.resources.get({ kind: "replay", namespace, name });
    if (!resource) throw unknownReplay(name);
    return keptOf(resource);
  }

  async #kept(namespace?: string): Promise<Kept[]> {
    return (await this.#options.resources.list("replay", namespace)).map(keptOf);
  }

  /** @returns false when it has changed meanwhile */
  async #put(replay: Replay, version: number): Promise<number | false> {
    const { namespace, name } = replay;
    try {
      return await this.#options.resources.put({ kind: "replay", namespace, name, spec: replay }, version);
    } catch (error) {
      if (error instanceof FaasError && error.kind === "conflict") return false;
      throw error;
    }
  }

  /** A store that is away for long is told of once. */
  #tell(err: unknown): void {
    const { log } = this.#options;
    if (this.#warned) log.debug({ err }, "could not look at replays");
    else log.warn({ err }, "could not look at replays; trying again");
    this.#warned = true;
  }

  /** One look at a time; what is asked for meanwhile is one more look. */
  #look(): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.resolve();
    if (this.#looking) {
      this.#again = true;
      return this.#looking;
    }
    const look = async () => {
      do {
        this.#again = false;
        await this.#lookOnce().then(
          () => {
            this.#warned = false;
          },
          (err: unknown) => this.#tell(err),
        );
      } while (this.#again && !this.#closing.signal.aborted);
      this.#looking = undefined;
    };
    this.#looking = look();
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    const { now, leads } = this.#options;
    const kept = await this.#kept();
    this.#setTriggers(kept.map(({ replay }) => replay));
    const over = Math.min(now(), steadyNow());
    this.#open = kept.some(({ replay }) => !isReplayOver(replay) || over - (replay.endedAt ?? 0) > KEPT_MS);
    const leading = leads();
    if (!leading) for (const { stop } of this.#runs.values()) stop.abort();
    if (!leading || this.#closing.signal.aborted) return;
    for (const { replay, version } of kept) {
      if (!isReplayOver(replay)) this.#run(replay, version);
      else if (over - (replay.endedAt ?? over) > KEPT_MS) await this.#forget(replay);
    }
  }

  #setTriggers(replays: readonly Replay[]): void {
    const triggers = replays.flatMap((replay) => triggerOf(replay) ?? []);
    const before = this.#triggers.map(({ id }) => id).join(" ");
    this.#triggers = triggers;
    if (triggers.map(({ id }) => id).join(" ") === before) return;
    for (const listener of this.#listeners) listener();
  }

  #run(replay: Replay, first: number): void {
    const id = triggerIdOf(replay);
    if (this.#runs.has(id)) return;
    const { store, now, log } = this.#options;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#closing.signal]);
    let version = first;
    const note = async (progress: ReplayProgress) => {
      const { problem: _, ...rest } = replay;
      const put = await this.#put({ ...rest, ...progress }, version);
      if (put === false) return false;
      version = put;
      return true;
    };
    const facts = { replay: replay.name, namespace: replay.namespace };
    const run = async () => {
      try {
        await new ReplayRun(replay, { store, note, now, signal }).run();
      } catch (err) {
        log.warn({ err, ...facts }, "a replay stopped; it goes on later");
      } finally {
        this.#runs.delete(id);
      }
    };
    log.info(facts, "replay runs");
    this.#runs.set(id, { stop, ended: run() });
  }
}

function keptOf({ spec, version }: EventResource): Kept {
  return { replay: spec as Replay, version };
}

/** The trigger of a replay that goes to a function. Answers are no events here: nothing is to follow from a replay. */
function triggerOf(replay: Replay): Trigger | undefined {
  const subscriber = receiverOf(replay);
  return (
    subscriber && {
      id: triggerIdOf(replay),
      namespace: replay.namespace,
      filter: never,
      subscriber,
      policy: DEFAULT_POLICY,
      ordered: false,
      concurrency: CONCURRENCY,
      keep: "full",
      reply: "none",
      onAnswer: async () => [],
    }
  );
}
