import type { Startup } from "../../../contract/endpoints.ts";
import { shortageOf } from "../../../contract/shortages.ts";
import type { Logger } from "../../../kit/log.ts";
import { sleep } from "../../../kit/sleep.ts";
import { within } from "../../../kit/within.ts";
import type { ProbeRules } from "../probe-annotations.ts";
import { redact } from "../redact.ts";
import { type BackoffPolicy, decideRestart } from "./backoff.ts";
import type { ReplicaLog } from "./logs/replica-log.ts";
import type { PrioritySemaphore, Rank } from "./priority-semaphore.ts";
import { type Probing, type ReplicaProber, saysWhenReady } from "./probes/prober.ts";
import { describeKind, describeProblem, type ReplicaEnd, readEnd, tellingLine } from "./problem.ts";
import { type ProcessSpec, type ReplicaProcess, startProcess } from "./replica-process.ts";
import { ReplicaStartup } from "./replica-startup.ts";
import type { ReplicaState, ReplicaView } from "./rollout.ts";

export interface ReplicaTimes {
  readonly backoff: BackoffPolicy;
  /** A process that does not listen by then is killed. */
  readonly startTimeoutMs: number;
  /** After this time its function shows as a problem that it does not listen yet. */
  readonly slowStartMs: number;
  /** Between the word that a replica drains and its SIGTERM, so that nobody chooses it any more. */
  readonly lingerMs: number;
}

export interface ReplicaOptions {
  readonly instance: string;
  readonly generation: number;
  readonly order: number;
  readonly times: ReplicaTimes;
  readonly starts: PrioritySemaphore;
  /** How urgent its start is now. */
  rank(): Rank;
  readonly prober: Pick<ReplicaProber, "watch">;
  readonly probes: ProbeRules;
  readonly log: Logger;
  readonly output: ReplicaLog;
  /** Makes everything ready for a process. @throws with a message that people may see, as a `FaasError` */
  prepare(): Promise<ProcessSpec>;
  /** How long it may be at work without answering anything else, in milliseconds; known once it is prepared. */
  longestCallMs(): number;
  /** Values that must not appear in a problem's text: those of secrets, and of variables that look like some. */
  secretValues(): Promise<string[]>;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  readonly onChange: () => void;
  /** It is ready for the first time, with its first process. */
  readonly onStarted: (startup: Startup) => void;
}

/** A starting process holds its place at the gate no longer than this: one that is slow must not delay the others. */
const GATE_PLACE_MS = 2_000;
/** What has never been ready has no calls to finish. */
const UNREADY_GRACE_MS = 1_000;

/** Keeps one watchdog process alive, from its first start until it is stopped for good. */
export class SupervisedReplica implements ReplicaView {
  readonly #options: ReplicaOptions;
  readonly #stopping = new AbortController();
  #state: ReplicaState = "starting";
  #proven = false;
  #address: string | undefined;
  #process: ReplicaProcess | undefined;
  #problem: string | undefined;
  #problemKind: string | undefined;
  #notice: string | undefined;
  #failedStarts = 0;
  #probing: Probing | undefined;
  readonly #startup: ReplicaStartup;
  /** Resolves when it has been stopped and nothing of it runs. */
  readonly gone: Promise<void>;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#startup = new ReplicaStartup(options.now);
    this.gone = this.#live();
  }

  get instance(): string {
    return this.#options.instance;
  }
  get generation(): number {
    return this.#options.generation;
  }
  get order(): number {
    return this.#options.order;
  }
  get state(): ReplicaState {
    return this.#state;
  }
  get proven(): boolean {
    return this.#proven;
  }
  /** `host:port` while ready or draining. */
  get address(): string | undefined {
    return this.#address;
  }
  /** Why it is not ready although it was started, e.g. how its process ended. */
  get problem(): string | undefined {
    return this.#problem;
  }
  /** What of {@link problem} anybody may know. */
  get problemKind(): string | undefined {
    return this.#problemKind;
  }
  /** Like {@link problem}, but things may still come right by themselves. */
  get notice(): string | undefined {
    return this.#notice;
  }
  /** How many of its processes in a row have ended before they were ready. */
  get failedStarts(): number {
    return this.#failedStarts;
  }
  /** How it came up; undefined before, and after its first process has ended. */
  get startup(): Startup | undefined {
    return this.#startup.told;
  }
  /** Leader of the process group. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Only its state says that it is about to go; calls that still arrive are served until it is stopped. */
  leave(): void {
    if (this.#state !== "ready" && this.#state !== "unready") return;
    this.#become("draining");
    // One that drains is left to its calls.
    this.#probing?.stop();
  }

  /**
   * Drains and stops it: at first only the state says so, then its process gets SIGTERM, and SIGKILL after `graceMs`.
   * @param lingerMs how long calls may still arrive
   */
  async stop(graceMs: number, lingerMs = this.#options.times.lingerMs): Promise<void> {
    if (this.#stopping.signal.aborted) return await this.gone;
    this.leave();
    const served = this.#state === "draining";
    this.#become("draining");
    this.#stopping.abort();
    if (served) await within(lingerMs, this.gone);
    this.#process?.terminate();
    const cut = setTimeout(() => this.kill(), served ? graceMs : Math.min(graceMs, UNREADY_GRACE_MS));
    await this.gone;
    clearTimeout(cut);
  }

  /** Calls wait for its answers: it is asked at once whether it is well. */
  expedite(): void {
    this.#probing?.expedite();
  }

  /** Ends its process at once; only a stopped replica stays down. */
  kill(): void {
    this.#process?.kill();
  }

  async #live(): Promise<void> {
    const { times, log, instance, onChange } = this.#options;
    const { signal } = this.#stopping;
    // Its creator stores it before it reports anything.
    await Promise.resolve();
    let failures = 0;
    while (!signal.aborted) {
      const { end: bare, readyMs } = await this.#runOnce();
      const end = readEnd(bare, this.#options.output.recentLines);
      if (signal.aborted) break;
      if (readyMs === undefined) this.#failedStarts += 1;
      const decision = decideRestart(failures, readyMs ?? 0, times.backoff);
      failures = decision.failures;
      this.#problem = await this.#describe(end, failures - 1);
      this.#problemKind = describeKind(end, failures - 1);
      log.warn({ instance, end, failures, delayMs: decision.delayMs }, "replica ended");
      this.#become("waiting");
      await sleep(decision.delayMs, signal);
    }
    this.#address = undefined;
    this.#state = "gone";
    onChange();
  }

  /** @returns `readyMs`: how long it had been ready; undefined when it never was */
  async #runOnce(): Promise<{ end: ReplicaEnd; readyMs: number | undefined }> {
    const { starts, prepare, output, probes, times, now, log, instance } = this.#options;
    const { signal } = this.#stopping;
    const notStarted = (message: string) => ({ end: { kind: "failed", message } as const, readyMs: undefined });
    this.#become("starting");
    const leave = await starts.acquire(signal, () => this.#rank());
    if (!leave) return notStarted("was stopped");
    this.#startup.reach("scheduled");
    let readyAt: number | undefined;
    let killedFor: ReplicaEnd | undefined;
    const timers: NodeJS.Timeout[] = [];
    try {
      const spec = await prepare();
      this.#startup.reach("sandbox");
      if (signal.aborted) {
        await spec.hooks?.ended({ kind: "failed", message: "was stopped" });
        return notStarted("was stopped");
      }
      output.forgetRecent();
      const started = startProcess(spec, {
        openOutput: () => output.input(),
        onListening: (address) => {
          leave();
          for (const timer of timers) clearTimeout(timer);
          if (signal.aborted || started.pid === undefined) return;
          const serve = () => {
            readyAt ??= now();
            this.#ready();
          };
          this.#address = address;
          this.#startup.reach("listening");
          this.#probe(started.pid, address, serve, (afterMs) => {
            killedFor = { kind: "hung", afterMs };
            log.warn({ instance, afterMs }, "replica fails its health check; restarting it");
            started.kill();
          });
          if (!saysWhenReady(probes)) serve();
        },
      });
      this.#process = started;
      this.#startup.reach("started");
      timers.push(
        setTimeout(leave, GATE_PLACE_MS),
        setTimeout(() => this.#slow(), times.slowStartMs),
        setTimeout(() => {
          killedFor = { kind: "silent", afterMs: times.startTimeoutMs };
          started.kill();
        }, times.startTimeoutMs),
      );
      const end = await started.ended;
      const readyMs = readyAt === undefined ? undefined : now() - readyAt;
      return { end: killedFor ?? end, readyMs };
    } catch (error) {
      log.warn({ instance, err: error }, "could not prepare a replica");
      return notStarted(`could not be prepared: ${reasonOf(error)}`);
    } finally {
      leave();
      this.#probing?.stop();
      this.#probing = undefined;
      for (const timer of timers) clearTimeout(timer);
      this.#startup.fail();
      this.#process = undefined;
      this.#notice = undefined;
      if (!signal.aborted) this.#address = undefined;
    }
  }

  async #describe(end: ReplicaEnd, restarts: number): Promise<string> {
    const { output, secretValues, log, instance } = this.#options;
    try {
      const line = tellingLine(output.recentLines);
      return describeProblem(end, restarts, line && redact(line, await secretValues()));
    } catch (err) {
      // Output that cannot be cleared of secrets is not shown.
      log.warn({ instance, err }, "could not read the secrets of a replica");
      return describeProblem(end, restarts, undefined);
    }
  }

  /** One that has served is missed, whether or not anybody has called since. */
  #rank(): Rank {
    const rank = this.#options.rank();
    return rank === "idle" && this.#proven ? "wanted" : rank;
  }

  #probe(pid: number, address: string, serve: () => void, onDead: (silentMs: number) => void): void {
    const { prober, probes, longestCallMs } = this.#options;
    this.#probing = prober.watch(
      { pid, address, rules: probes, patienceMs: longestCallMs() },
      { onReadiness: (ready, why) => (ready ? serve() : this.#unready(why)), onDead },
    );
  }

  #unready(why: string): void {
    this.#notice = why;
    // One that has never been ready goes on starting.
    if (this.#state === "ready") this.#become("unready");
    else this.#options.onChange();
  }

  #ready(): void {
    this.#problem = undefined;
    this.#problemKind = undefined;
    this.#notice = undefined;
    this.#proven = true;
    this.#failedStarts = 0;
    const startup = this.#startup.finish();
    if (startup) this.#options.onStarted(startup);
    this.#become("ready");
  }

  #slow(): void {
    this.#notice = `has not started listening after ${this.#options.times.slowStartMs / 1000} s`;
    this.#options.onChange();
  }

  #become(state: ReplicaState): void {
    if (this.#stopping.signal.aborted || this.#state === state) return;
    this.#state = state;
    this.#options.onChange();
  }
}

/** Messages of the file system name folders of the platform, which are nobody's business. */
function reasonOf(error: unknown): string {
  const { name, message, code } = error as NodeJS.ErrnoException;
  return name === "FaasError" ? message : (shortageOf(error)?.message ?? code ?? "internal error");
}
