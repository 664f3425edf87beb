import { FaasError } from "../../contract/errors.ts";
import { qualifiedName } from "../../contract/functions.ts";
import { readQueueSize } from "../../contract/scale-policy.ts";
import { answerTimeoutMs, type WaitLimits } from "../../contract/timeouts.ts";
import { type Choice, chooseReplica } from "../core/choose-replica.ts";
import { callsPerEndpoint, type KnownFunction, type ProviderWay } from "../core/known-function.ts";
import { LoadMeter } from "../core/scaling/load-meter.ts";
import { FunctionPolicy } from "../policies/function-policy.ts";
import { FunctionMeter } from "./function-meter.ts";
import { HeldCalls } from "./held-calls.ts";
import type { MirrorPlan } from "./mirrors.ts";
import { OWN_OCCUPANCIES } from "./occupancy.ts";
import { ReplicaConnection, type UpstreamOptions, type WayThroughProvider } from "./replica.ts";
import { AnswerPace } from "./responsiveness.ts";
import type { StartupTallies } from "./startup-tallies.ts";
import type { VersionMeters } from "./version-meters.ts";
import type { VersionSplit } from "./version-split.ts";

export interface FunctionEntryOptions extends UpstreamOptions, WaitLimits {
  /** Calls that may wait for a replica, where the function does not say (`com.faaslane.queue.size`). */
  readonly maxHeld: number;
  /** Shared by all functions. */
  readonly startups: StartupTallies;
  /** Has the threads whose calls wait for places at this function take turns; absent where there is but one. */
  readonly shareTurns?: (entry: FunctionEntry) => void;
}

/**
 * While calls come as fast as that, idle replicas take no turns: one that has just answered is awake still, its code and
 * connection are in the caches, and to wake another costs more than a short call.
 */
const AWAKE_MS = 20;
/** But no turn is longer than that. */
const TURN_MS = 100;

/** One function, or a version beside it: its snapshot from the provider, its replicas, and the calls that wait for one. */
export class FunctionEntry {
  readonly name: string;
  readonly namespace: string;
  /** `name.namespace`. */
  readonly qualifiedName: string;
  /** Of its own calls; of a function, those of the versions beside it are not among them. */
  readonly meter = new FunctionMeter();
  /** What the autoscaler reads. */
  readonly load = new LoadMeter(performance.now());
  readonly startups: StartupTallies;
  readonly held: HeldCalls;
  readonly pace = new AnswerPace();
  /** The function that it is a version of; itself for the function. What holds for its callers is the function's. */
  function: FunctionEntry = this;
  /** Which of the function's versions a call gets; undefined where all calls go to its own replicas. */
  split: VersionSplit<FunctionEntry> | undefined;
  /** Which of the function's calls are copied; undefined for none. */
  mirror: MirrorPlan<FunctionEntry> | undefined;
  /** Versions beside it, of which no function without any has a map. */
  versions: ReadonlyMap<string, FunctionEntry> | undefined;
  /** What its versions' calls come to; undefined where there was never more than one. */
  versionMeters: VersionMeters | undefined;
  /** The part of the function's calls that it gets, from 0 to 1; 1 where they are not split. */
  share = 1;
  /** Where calls go that were for it, once it is gone. */
  successor: FunctionEntry | undefined;
  readonly #maxHeld: number;
  readonly #options: Omit<FunctionEntryOptions, "maxHeld" | "startups">;
  #snapshot: KnownFunction;
  /** Calls that one of {@link #replicas} takes at a time; 0 for no limit. */
  #limit = 0;
  #replicas: ReplicaConnection[] = [];
  #turn = 0;
  /** When the turn began, by `performance.now()`. */
  #turnedAt = 0;
  /** By `performance.now()`. */
  #chosenAt = 0;
  #answerTimeoutMs: number;
  #queueSize: number | undefined;
  #policy: FunctionPolicy | undefined;

  constructor(snapshot: KnownFunction, { maxHeld, startups, ...options }: FunctionEntryOptions) {
    this.name = snapshot.name;
    this.namespace = snapshot.namespace;
    this.qualifiedName = qualifiedName(snapshot);
    this.startups = startups;
    const { occupancies = OWN_OCCUPANCIES } = options;
    this.held = new HeldCalls(this.qualifiedName, maxHeld, occupancies.ofWaiting(this.qualifiedName));
    this.#maxHeld = maxHeld;
    this.#options = options;
    this.#snapshot = snapshot;
    this.#answerTimeoutMs = answerTimeoutMs(snapshot, options);
    this.#policy = FunctionPolicy.read(snapshot.annotations);
  }

  get snapshot(): KnownFunction {
    return this.#snapshot;
  }

  /** Longest wait for the head of its answer, and between two pieces of the body. */
  get answerTimeoutMs(): number {
    return this.#answerTimeoutMs;
  }

  /** What the function wants to be seen to before it is called; undefined for most. */
  get policy(): FunctionPolicy | undefined {
    return this.function.#policy;
  }

  /** Whether it is a version beside a function. */
  get isBeside(): boolean {
    return this.name.includes("@");
  }

  /** It and the versions beside it. */
  get all(): FunctionEntry[] {
    return this.versions ? [this, ...this.versions.values()] : [this];
  }

  /** Counts the calls of all its versions, those included that are gone. */
  get wholeMeter(): FunctionMeter {
    if (!this.versions && !this.versionMeters) return this.meter;
    const whole = new FunctionMeter();
    for (const { meter } of this.all) whole.add(meter.read());
    for (const meter of this.versionMeters?.gone() ?? []) whole.add(meter.read());
    return whole;
  }

  /** Calls by the version that they were of; none where there was never more than one. */
  metersByVersion(): ReadonlyMap<string, FunctionMeter> {
    const beside = [...(this.versions ?? [])].map(([version, { meter }]) => [version, meter] as const);
    return this.versionMeters?.byVersion(this.meter, this.version, beside) ?? new Map();
  }

  /** The version that its replicas run; undefined where nobody says. */
  get version(): string | undefined {
    return this.#snapshot.version;
  }

  /** Whether calls wait when all replicas have as many as they take, as the function asks for; others are refused. */
  get queues(): boolean {
    return this.#queueSize !== undefined;
  }

  /** Takes a place at `replica`. @returns false when all are taken, by other threads as well */
  enter(replica: ReplicaConnection): boolean {
    return replica.occupancy.enter(this.#limit);
  }

  /** Calls at each replica through this gateway, by its address; nothing where the provider chooses it. */
  outstanding(): Record<string, number> {
    if (this.#snapshot.way) return {};
    return Object.fromEntries(this.#replicas.map(({ address, outstanding }) => [address, outstanding]));
  }

  get readyReplicas(): number {
    const { way } = this.#snapshot;
    if (way) return this.#replicas[0]?.ready ? way.available : 0;
    return this.#replicas.reduce((count, replica) => count + (replica.ready ? 1 : 0), 0);
  }

  /** The longest that a replica has let somebody wait for a word of it, in milliseconds. */
  silentMs(now: number): number {
    return this.#replicas.reduce((most, { responsiveness }) => Math.max(most, responsiveness.silentMs(now)), 0);
  }

  /** @param avoid a replica that has just refused this call */
  choose(avoid?: ReplicaConnection): Choice<ReplicaConnection> {
    const replicas = avoid ? this.#replicas.filter((replica) => replica !== avoid) : this.#replicas;
    if (replicas.length > 1) {
      const now = performance.now();
      for (const replica of replicas) replica.lagging = replica.responsiveness.lags(this.pace, now);
      if (now - this.#chosenAt > AWAKE_MS || now - this.#turnedAt > TURN_MS) {
        this.#turn++;
        this.#turnedAt = now;
      }
      this.#chosenAt = now;
    }
    return chooseReplica(replicas, this.#limit, this.#turn);
  }

  /** Lets as many of those that wait go on as there are places for, here or in another thread. */
  releaseHeld(): void {
    const { held } = this;
    if (held.count === 0) return;
    if (this.#limit > 0 && held.count > held.own && this.#options.shareTurns) {
      if (this.#freeSlots() > 0) this.#options.shareTurns(this);
    } else this.takeTurn();
  }

  /** As {@link releaseHeld}, of those that wait here. @returns how many went on */
  takeTurn(): number {
    const count = Math.min(this.held.own, this.#freeSlots());
    if (count > 0) this.held.release(count);
    return count;
  }

  #freeSlots(): number {
    const limit = this.#limit || Number.POSITIVE_INFINITY;
    return this.#replicas.reduce(
      (slots, { ready, outstanding }) => slots + (ready ? Math.max(0, limit - outstanding) : 0),
      0,
    );
  }

  /** Takes the provider's newest snapshot; calls that waited for what it brings go on, or learn why they cannot. */
  update(snapshot: KnownFunction): void {
    this.#snapshot = snapshot;
    this.#limit = callsPerEndpoint(snapshot);
    this.#answerTimeoutMs = answerTimeoutMs(snapshot, this.#options);
    this.#queueSize = readQueueSize(snapshot.labels, snapshot.annotations);
    this.#policy = FunctionPolicy.read(snapshot.annotations, this.#policy);
    this.held.max = this.#queueSize ?? this.#maxHeld;
    const known = new Map(this.#replicas.map((replica) => [replica.address, replica]));
    this.#replicas = snapshot.way ? this.#provider(snapshot.way, known) : this.#endpoints(snapshot, known);
    for (const gone of known.values()) closeInBackground(gone);

    if (this.readyReplicas > 0) this.releaseHeld();
    else if (snapshot.problem) {
      this.held.fail(
        new FaasError("unavailable", `function ${this.qualifiedName} cannot start: ${snapshot.problem}`, {
          code: "cannot_start",
        }),
      );
    }
  }

  /** @param known loses those that go on */
  #endpoints({ endpoints, version: usual }: KnownFunction, known: Map<string, ReplicaConnection>): ReplicaConnection[] {
    return endpoints
      .filter(({ address, state }) => known.has(address) || (state === "ready" && address !== ""))
      .map(({ address, state, startup, version = usual }) => {
        const replica = known.get(address) ?? this.#connect(address);
        known.delete(address);
        if (replica.announced !== (state === "ready")) {
          replica.trust();
          replica.responsiveness.forgive();
          replica.announcedAt = performance.now();
        }
        replica.announced = state === "ready";
        replica.startup = startup;
        replica.version = version;
        return replica;
      });
  }

  /** The provider in place of replicas; nothing while none of them serves. @param known as above */
  #provider({ path, available }: ProviderWay, known: Map<string, ReplicaConnection>): ReplicaConnection[] {
    const { providerProxy } = this.#options;
    if (!providerProxy || available === 0) return [];
    const prefix = providerProxy.prefixOf(path);
    const present = known.get(prefix);
    known.delete(prefix);
    const replica = present ?? this.#connect(prefix, { pool: providerProxy.pool, prefix });
    replica.version = this.#snapshot.version;
    return [replica];
  }

  /** @param through the provider */
  #connect(address: string, through?: WayThroughProvider): ReplicaConnection {
    const { occupancies = OWN_OCCUPANCIES } = this.#options;
    const occupancy = occupancies.ofReplica(this.qualifiedName, address);
    return new ReplicaConnection(address, through !== undefined, this.#options, occupancy, through);
  }

  /** The provider answers again, after it did not. */
  retryProvider(): void {
    if (!this.#snapshot.way) return;
    for (const replica of this.#replicas) replica.trust();
    if (this.readyReplicas > 0) this.releaseHeld();
  }

  /** A replica that refuses connections is left out for a moment; calls that found no other then try again. */
  avoid(replica: ReplicaConnection): void {
    setTimeout(() => replica.readmit() && this.releaseHeld(), replica.avoid()).unref();
  }

  /** @param successor where its calls that wait go on */
  remove(successor?: FunctionEntry): void {
    this.successor = successor;
    if (successor) this.held.release(this.held.own);
    this.held.close(
      new FaasError("notFound", `function ${this.qualifiedName} has been removed`, { code: "unknown_function" }),
    );
    for (const replica of this.#replicas.splice(0)) closeInBackground(replica);
  }

  async destroy(): Promise<void> {
    this.held.close(new FaasError("unavailable", "the gateway is stopping", { code: "stopping" }));
    await Promise.all(this.#replicas.splice(0).map((replica) => replica.destroy()));
  }
}

/** Closing waits for the calls under way, which have their own deadlines; nobody waits for it. */
function closeInBackground(replica: ReplicaConnection): void {
  replica.close().catch(() => replica.destroy());
}
