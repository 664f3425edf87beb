import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { STARTUP_PHASES, type Startup } from "../../../contract/endpoints.ts";
import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import { isOutOfSpace } from "../../../contract/shortages.ts";
import type { Logger } from "../../../kit/log.ts";
import type { CallsInFlight } from "../backend.ts";
import type { ColdStarts } from "../cold-starts.ts";
import { type ProbeTiming, readProbeRules } from "../probe-annotations.ts";
import type { StoredFunction } from "./definition.ts";
import { removeTree, sweepFolder } from "./files.ts";
import { FunctionGeneration, type GenerationSettings, tmpFolder } from "./function-generation.ts";
import { FunctionLogs } from "./logs/function-logs.ts";
import type { PrioritySemaphore, Rank } from "./priority-semaphore.ts";
import type { ReplicaProber } from "./probes/prober.ts";
import { type ReplicaTimes, SupervisedReplica } from "./replica.ts";
import type { ProcessSpec } from "./replica-process.ts";
import { decideRollout } from "./rollout.ts";
import type { SandboxLevel } from "./sandbox/level.ts";
import { generationFolder } from "./workspace.ts";

/** What all functions of the backend have in common. */
export interface RunnerSettings extends GenerationSettings {
  readonly times: ReplicaTimes;
  readonly starts: PrioritySemaphore;
  /** For files of functions that nobody waits for. */
  readonly preparations: PrioritySemaphore;
  readonly prober: ReplicaProber;
  /** How replicas are probed whose function does not say. */
  readonly probes: { readonly liveness: ProbeTiming; readonly readiness: ProbeTiming };
  readonly logLimitBytes: number;
  readonly log: Logger;
  readonly now: () => number;
  readonly coldStarts?: Pick<ColdStarts, "observe" | "forget">;
  /** Told when functions have come to need other artefacts than before; those named are not needed any more. */
  onArtefactsChanged?(released: readonly string[]): void;
}

/** Makes the replicas of one function what its record says, and goes on doing so. */
export class FunctionRunner {
  readonly logs: FunctionLogs;
  readonly #home: string;
  readonly #settings: RunnerSettings;
  readonly #onChange: (runner: FunctionRunner) => void;
  readonly #generations = new Map<number, FunctionGeneration>();
  readonly #replicas = new Map<string, SupervisedReplica>();
  #record: StoredFunction;
  /** What the last order knew of calls at replicas, until it has been followed. */
  #inFlight: CallsInFlight | undefined;
  #started = 0;
  #stopped = false;
  readonly #stopping = new AbortController();
  #tidied: Promise<void> | undefined;
  readonly #recovered: boolean;
  #rank: Rank;
  #scheduled = false;
  /** Clearing up after replicas and generations that are gone. */
  readonly #tasks = new Set<Promise<void>>();

  /**
   * @param home folder for all files of the function, its own
   * @param recovered whether it was there before the platform was started: nobody waits for it then
   */
  constructor(
    home: string,
    record: StoredFunction,
    settings: RunnerSettings,
    onChange: (runner: FunctionRunner) => void,
    recovered = false,
  ) {
    const { logLimitBytes: limitBytes, now, log } = settings;
    const onError = (err: unknown) => log.warn({ ...this.#ref(), err }, "could not store a function's output");
    this.#home = home;
    this.#settings = settings;
    this.#onChange = onChange;
    this.#record = record;
    this.logs = new FunctionLogs({ folder: join(home, "logs"), limitBytes, now, onError });
    this.#recovered = recovered;
    this.#rank = recovered ? "idle" : "wanted";
    this.apply(record);
  }

  get record(): StoredFunction {
    return this.#record;
  }

  /** What keeps the deployed version from everything else; told once its files are there. */
  async sandbox(): Promise<SandboxLevel> {
    const { deployment, generation } = this.#record;
    const workspace = await this.#generations.get(generation)?.settled;
    const mode = deployment.envVars?.mode ?? workspace?.descriptor.env.mode;
    return this.#settings.isolation.levelOf(mode);
  }

  /** Oldest first, those that drain included. */
  get replicas(): readonly SupervisedReplica[] {
    return [...this.#replicas.values()];
  }

  /** Environment that comes with the artefact of the present version; empty until it has been read. */
  get artefactEnv(): Readonly<Record<string, string>> {
    return this.#generations.get(this.#record.generation)?.artefactEnv ?? {};
  }

  /** The version that replicas of a generation run, if it is one. */
  versionOf(generation: number): string | undefined {
    return this.#generations.get(generation)?.record.deployment.version;
  }

  /** Of the artefacts that its versions are copied from, former ones included while a replica of them runs. */
  get digests(): readonly string[] {
    return [...this.#generations.values()].map(({ record }) => record.digest);
  }

  /** Goes for a new state; what is not right yet follows in the background. */
  apply(record: StoredFunction, inFlight?: CallsInFlight): void {
    this.#record = record;
    this.#inFlight = inFlight;
    if (!this.#generations.has(record.generation)) {
      const generation = new FunctionGeneration({
        home: this.#home,
        record,
        settings: this.#settings,
        before: this.#recovered ? () => this.#tidy() : undefined,
        onPrepared: () => this.#schedule(),
      });
      this.#generations.set(record.generation, generation);
      this.#runTask(() => this.#prepareAhead(generation));
    }
    this.#schedule();
  }

  /** Somebody wants replicas of it. */
  want(): void {
    if (this.#rank === "idle") this.#rank = "wanted";
    this.#settings.starts.admitWaiting();
  }

  /** Calls wait for it: it is started before all others until it serves, and asked whether it does. */
  expedite(): void {
    for (const replica of this.#replicas.values()) replica.expedite();
    if (this.#replicas.size > 0 && this.replicas.every(({ state }) => state === "ready")) return;
    this.#rank = "called";
    this.#settings.starts.admitWaiting();
  }

  /**
   * Ahead of the first replica, so that even a function that sleeps from the start wakes fast. A failure is reported by
   * the replica that needs it.
   */
  async #prepareAhead(generation: FunctionGeneration): Promise<void> {
    const idle = this.#rank === "idle";
    // After a start there may be a thousand of them.
    const leave = idle ? await this.#settings.preparations.acquire(this.#stopping.signal, () => "idle") : () => {};
    if (!leave) return;
    try {
      await generation.prepare().catch(() => {});
    } finally {
      leave();
    }
  }

  /** Clears what an earlier life of the platform has left in the function's folder. */
  #tidy(): Promise<void> {
    const { record } = this;
    this.#tidied ??= (async () => {
      await sweepFolder(this.#home, (name) => name === "logs" || name === String(record.generation));
      await sweepFolder(join(generationFolder(this.#home, record.generation), "tmp"), () => false);
      // Replicas that were killed with the platform count among those that are gone from now on.
      await this.logs.prune();
    })().catch((err) => this.#settings.log.warn({ ...this.#ref(), err }, "could not clean up after an earlier run"));
    return this.#tidied;
  }

  /** Replaces the value of a secret for all generations that were deployed with it. */
  async refreshSecret(name: string, value: Buffer): Promise<void> {
    for (const generation of this.#generations.values()) await generation.refreshSecret(name, value);
  }

  /** Drains and stops all, then removes every file of the function. */
  async retire(): Promise<void> {
    this.#stop();
    this.logs.end();
    await Promise.all(this.replicas.map((replica) => replica.stop(this.#graceOf(replica.generation))));
    await this.#settle();
    await removeTree(this.#home);
  }

  /** Tells that all replicas are about to go, and starts no others. */
  leave(): void {
    this.#stop();
    for (const replica of this.replicas) replica.leave();
  }

  /** Drains and stops all within `drainTimeoutMs`; files stay. */
  async close(drainTimeoutMs: number): Promise<void> {
    this.#stop();
    const cut = setTimeout(() => {
      for (const replica of this.#replicas.values()) replica.kill();
    }, drainTimeoutMs);
    await Promise.all(this.replicas.map((replica) => replica.stop(drainTimeoutMs, 0)));
    clearTimeout(cut);
    await this.#settle();
    this.logs.end();
  }

  #stop(): void {
    this.#stopped = true;
    this.#stopping.abort();
  }

  #ref(): FunctionRef {
    return { name: this.#record.name, namespace: this.#record.namespace };
  }

  /** Many changes of one tick are one reconciliation and one publication. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#reconcile();
      this.#onChange(this);
    });
  }

  #reconcile(): void {
    for (const replica of this.#replicas.values()) if (replica.state === "gone") this.#removeReplica(replica);
    if (this.#stopped) return;
    const { replicas, generation } = this.#record;
    const decision = decideRollout([...this.#replicas.values()], replicas, generation, this.#inFlight);
    // It grows old at once: who was busy then may be idle by the next occasion.
    this.#inFlight = undefined;
    for (const instance of decision.stop) {
      const replica = this.#replicas.get(instance);
      // Its end is seen by `onChange`.
      if (replica) void replica.stop(this.#graceOf(replica.generation));
    }
    for (let missing = decision.start; missing > 0; missing -= 1) this.#start(generation);
    if (this.#rank === "called" && this.replicas.some(({ state }) => state === "ready")) this.#rank = "wanted";
    this.#dropGenerations();
  }

  #start(number: number): void {
    const generation = this.#generations.get(number) as FunctionGeneration;
    const { times, starts, prober, probes, log } = this.#settings;
    // Also the name of folders and control groups: nothing in it has a meaning anywhere.
    const instance = `${this.#record.name.replace("@", "-")}-${number}-${randomBytes(4).toString("hex")}`;
    const replica = new SupervisedReplica({
      instance,
      generation: number,
      order: this.#started,
      times,
      starts,
      rank: () => this.#rank,
      prober,
      probes: readProbeRules(generation.record.deployment.annotations, probes),
      longestCallMs: () => generation.longestCallMs,
      log: log.child({ function: this.#record.name, namespace: this.#record.namespace }),
      output: this.logs.open(instance),
      now: () => performance.now(),
      prepare: () => this.#specOf(generation, instance),
      secretValues: () => generation.secretValues(),
      onChange: () => this.#schedule(),
      onStarted: (startup) => this.#count(startup),
    });
    this.#started += 1;
    this.#replicas.set(instance, replica);
  }

  #count(startup: Startup): void {
    // One that is being removed has no numbers any more.
    if (this.#stopped) return;
    for (const phase of STARTUP_PHASES) {
      const ms = startup[phase];
      if (ms !== undefined) this.#settings.coldStarts?.observe(qualifiedName(this.#record), phase, ms);
    }
  }

  #removeReplica(replica: SupervisedReplica): void {
    this.#replicas.delete(replica.instance);
    this.#runTask(async () => {
      await this.logs.close(replica.instance);
      await removeTree(tmpFolder(this.#home, replica.generation, replica.instance));
    });
  }

  /** Generations that are neither wanted nor have replicas leave their folder. */
  #dropGenerations(): void {
    const needed = new Set(this.replicas.map(({ generation }) => generation)).add(this.#record.generation);
    for (const [number, generation] of this.#generations) {
      if (needed.has(number)) continue;
      this.#generations.delete(number);
      this.#runTask(async () => {
        await generation.settled;
        this.#settings.onArtefactsChanged?.([generation.record.digest]);
        await removeTree(generationFolder(this.#home, number));
      });
    }
  }

  #runTask(work: () => Promise<void>): void {
    const task = work()
      .catch((err) => this.#settings.log.warn({ ...this.#ref(), err }, "could not clean up after a replica"))
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  async #settle(): Promise<void> {
    // The microtask in which the last replica is buried comes first.
    await Promise.resolve();
    for (const replica of this.#replicas.values()) if (replica.state === "gone") this.#removeReplica(replica);
    await Promise.all([...this.#generations.values()].map(({ settled }) => settled));
    await Promise.all(this.#tasks);
  }

  #graceOf(generation: number): number {
    return this.#generations.get(generation)?.graceMs ?? 0;
  }

  async #specOf(generation: FunctionGeneration, instance: string): Promise<ProcessSpec> {
    await generation.prepare();
    await this.logs.prepare().catch((err) => {
      // Its log is lost then, and told so; the function runs.
      if (!isOutOfSpace(err)) throw err;
    });
    return await generation.specOf(instance);
  }
}
