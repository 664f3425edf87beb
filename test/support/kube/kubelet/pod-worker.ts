import type { Api } from "../api.ts";
import { recordEvent } from "../controllers/controller.ts";
import { objectKey } from "../store.ts";
import type { ObjectKey } from "../types.ts";
import type { Container, ContainerState, Pod } from "../workloads.ts";
import { resolveContainer, resolveMounts } from "./container-spec.ts";
import { ContainerLog } from "./logs.ts";
import { type PodSnapshot, podStatus } from "./pod-status.ts";
import { ContainerProbes } from "./probes.ts";
import { type Exit, type RunningContainer, type Runtime, StartError } from "./runtime.ts";
import type { Timing } from "./timing.ts";
import { Waits } from "./waits.ts";

const LONG_MS = 3600_000;

export interface WorkerDeps {
  readonly api: Api;
  readonly runtime: Runtime;
  readonly timing: Timing;
  readonly hostIp: string;
}

/** Lives as long as a pod is on the node: starts its container, probes it, starts it again, and ends it. */
export class PodWorker {
  readonly #deps: WorkerDeps;
  readonly #key: ObjectKey;
  readonly #uid: string;
  readonly #container: Container;
  readonly #waits = new Waits();
  #snapshot: PodSnapshot;
  #running: RunningContainer | undefined;
  #probes: ContainerProbes | undefined;
  #log: ContainerLog | undefined;
  #previousLog: ContainerLog | undefined;
  #ip: string | undefined;
  #terminating = false;
  #graceSeconds = Number.POSITIVE_INFINITY;
  #runs = 0;
  readonly #kills = new Set<NodeJS.Timeout>();
  readonly #done: Promise<void>;

  constructor(deps: WorkerDeps, pod: Pod) {
    this.#deps = deps;
    this.#key = objectKey(pod);
    this.#uid = pod.metadata.uid;
    this.#container = pod.spec.containers[0] as Container;
    this.#snapshot = {
      phase: "Pending",
      podIp: undefined,
      hostIp: deps.hostIp,
      sandbox: false,
      startTime: deps.api.now(),
      state: { waiting: { reason: "ContainerCreating" } },
      lastState: {},
      ready: false,
      started: false,
      restartCount: 0,
      imageId: "",
      containerId: undefined,
    };
    this.#done = this.#run();
  }

  /** The log of the container's run, or the one before. */
  log(previous: boolean): ContainerLog | undefined {
    return previous ? this.#previousLog : this.#log;
  }

  get waitingReason(): string | undefined {
    return this.#snapshot.state.waiting?.reason;
  }

  /** The object has changed: it may be time to go, or something waited for may be there. */
  notice(pod: Pod): void {
    if (pod.metadata.deletionTimestamp === undefined) return;
    const graceSeconds = pod.metadata.deletionGracePeriodSeconds ?? 0;
    if (!this.#terminating) {
      this.#terminating = true;
      this.#waits.stop();
      this.#running?.terminate();
    }
    if (graceSeconds < this.#graceSeconds) {
      this.#graceSeconds = graceSeconds;
      this.#killIn(graceSeconds * 1000);
    }
    this.#waits.wake();
  }

  /** What a volume or image waits for may be there now. */
  retry(): void {
    this.#waits.wake();
    if (!this.#deps.runtime.instant) void this.#refresh();
  }

  /** Ends at once: the object is gone, or the node goes. */
  async close(): Promise<void> {
    this.#terminating = true;
    this.#waits.stop();
    this.#running?.kill();
    this.#waits.wake();
    await this.#done;
  }

  get #pod(): Pod | undefined {
    const pod = this.#deps.api.store.get("pods", this.#key) as Pod | undefined;
    return pod?.metadata.uid === this.#uid ? pod : undefined;
  }

  async #run(): Promise<void> {
    // A node that runs nothing has nothing to show in between; it still answers in another turn.
    await Promise.resolve();
    if (!this.#deps.runtime.instant) this.#report();
    await this.#waits.pause(this.#deps.timing.sandboxMs);
    for (let crashes = 0; !this.#terminating; crashes += 1) {
      if (!(await this.#pull()) || !(await this.#start())) break;
      const exit = await (this.#running as RunningContainer).ended;
      this.#afterExit(exit);
      while (this.#runsOnce && !this.#terminating) await this.#waits.pause(LONG_MS, true);
      if (this.#terminating) break;
      if (crashes > 0) await this.#backOff(crashes);
    }
    await this.#finish();
  }

  /** @returns false when the pod is to go meanwhile */
  async #pull(): Promise<boolean> {
    const { image } = this.#container;
    const { runtime, timing } = this.#deps;
    for (let attempt = 0; !this.#terminating; attempt += 1) {
      if (runtime.hasImage(image)) return true;
      const why = `failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${image}: not found`;
      this.#wait("ErrImagePull", why);
      this.#event("Warning", "Failed", `Failed to pull image "${image}": ${why}`);
      await this.#waits.pause(Math.min(timing.pullBackoffMs, 50));
      if (runtime.hasImage(image) || this.#terminating) continue;
      this.#wait("ImagePullBackOff", `Back-off pulling image "${image}": ErrImagePull: ${why}`);
      await this.#waits.pause(timing.pullBackoffMs * Math.min(2 ** attempt, 30), true);
    }
    return false;
  }

  /** @returns false when the pod is to go meanwhile */
  async #start(): Promise<boolean> {
    const { runtime, timing } = this.#deps;
    while (!this.#terminating) {
      const log = new ContainerLog();
      const ip = this.#ip ?? (await runtime.allocateIp());
      this.#ip = ip;
      const pod = this.#pod;
      if (pod === undefined) return false;
      try {
        const spec = resolveContainer(this.#deps.api.store, pod, this.#container, ip);
        const output = (text: string) => log.append({ timeMs: Date.now(), text });
        this.#running = await runtime.start(pod, spec, ip, output);
      } catch (error) {
        if (!(error instanceof StartError)) throw error;
        if (error.reason !== undefined) this.#wait(error.reason, error.message);
        else this.#event("Warning", "FailedMount", error.message);
        await this.#waits.pause(2_000, true);
        continue;
      }
      this.#previousLog = this.#log;
      this.#log = log;
      if (this.#terminating) this.#running.terminate();
      const startedAt = this.#deps.api.now();
      const { readinessProbe, startupProbe } = this.#container;
      const isStarted = startupProbe === undefined || runtime.instant;
      const isReady = isStarted && (readinessProbe === undefined || runtime.instant);
      const containerId = `containerd://${this.#uid.replaceAll("-", "")}${String(this.#runs).padStart(32, "0")}`;
      this.#runs += 1;
      await this.#waits.pause(timing.reportMs);
      this.#show({
        phase: "Running",
        podIp: ip,
        sandbox: true,
        state: { running: { startedAt } },
        ready: isReady && !this.#terminating,
        started: isStarted,
        imageId: `sha256:${"0".repeat(64)}`,
        containerId,
        restartCount: this.#runs - 1,
      });
      if (!runtime.instant) this.#probe(this.#running);
      return true;
    }
    return false;
  }

  /** Files of secrets follow their changes, as long as they are all there. */
  async #refresh(): Promise<void> {
    const pod = this.#pod;
    if (pod === undefined || this.#running === undefined) return;
    try {
      await this.#running.remount(resolveMounts(this.#deps.api.store, pod, this.#container));
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      this.#event("Warning", "FailedMount", error.message);
    }
  }

  #probe(running: RunningContainer): void {
    const { timing } = this.#deps;
    const { name } = this.#container;
    this.#probes = new ContainerProbes(this.#container, running, timing.eagerProbeMs, {
      onReady: (ready) => {
        if (!ready) this.#event("Warning", "Unhealthy", "Readiness probe failed");
        const delayMs = ready ? timing.readyReportMs : 0;
        setTimeout(() => running === this.#running && this.#show({ ready, started: true }), delayMs).unref();
      },
      onDead: (which) => {
        if (this.#terminating) return;
        this.#event("Warning", "Unhealthy", `${which} probe failed`);
        this.#event("Normal", "Killing", `Container ${name} failed ${which.toLowerCase()} probe, will be restarted`);
        running.terminate();
        this.#killIn((this.#pod?.spec.terminationGracePeriodSeconds ?? 30) * 1000);
      },
    });
  }

  /** What has ended is not started again. */
  get #runsOnce(): boolean {
    return this.#pod?.spec.restartPolicy === "Never";
  }

  #afterExit({ code, signal, message: left }: Exit): void {
    this.#probes?.close();
    this.#clearKills();
    this.#running = undefined;
    this.#log?.end();
    const { state, containerId } = this.#snapshot;
    const now = this.#deps.api.now();
    const isToldByLog = code !== 0 && this.#container.terminationMessagePolicy === "FallbackToLogsOnError";
    const message = left ?? (isToldByLog ? this.#log?.terminationMessage() : undefined);
    const terminated: ContainerState["terminated"] = {
      exitCode: code,
      ...(signal !== 0 && { signal }),
      reason: code === 0 ? "Completed" : "Error",
      ...(message && { message }),
      startedAt: state.running?.startedAt ?? now,
      finishedAt: now,
      containerID: containerId ?? "",
    };
    if (this.#terminating || this.#runsOnce) {
      const phase = code === 0 ? "Succeeded" : "Failed";
      this.#show({ phase, state: { terminated }, ready: false, started: false });
      return;
    }
    this.#show({
      state: { terminated },
      lastState: { terminated },
      ready: false,
      started: false,
    });
  }

  async #backOff(crashes: number): Promise<void> {
    const { crashBackoffMs, crashBackoffLimitMs } = this.#deps.timing;
    const delayMs = Math.min(crashBackoffMs * 2 ** (crashes - 1), crashBackoffLimitMs);
    const { name } = this.#container;
    const pod = `${this.#key.name}_${this.#key.namespace}(${this.#uid})`;
    const message = `back-off ${delayMs / 1000}s restarting failed container=${name} pod=${pod}`;
    this.#wait("CrashLoopBackOff", message);
    this.#event("Warning", "BackOff", `Back-off restarting failed container ${name} in pod ${pod}`);
    await this.#waits.pause(delayMs);
  }

  async #finish(): Promise<void> {
    this.#clearKills();
    await this.#deps.runtime.removePod(this.#uid);
    if (this.#ip !== undefined) this.#deps.runtime.releaseIp(this.#ip);
    const live = this.#pod;
    if (live?.metadata.deletionTimestamp === undefined) return;
    if ((live.metadata.finalizers ?? []).length === 0) this.#deps.api.store.remove("pods", this.#key);
    else this.#deps.api.store.put("pods", { ...live, metadata: { ...live.metadata, deletionGracePeriodSeconds: 0 } });
  }

  #killIn(delayMs: number): void {
    const timer = setTimeout(() => this.#running?.kill(), delayMs);
    this.#kills.add(timer.unref());
  }

  #clearKills(): void {
    for (const timer of this.#kills) clearTimeout(timer);
    this.#kills.clear();
  }

  #wait(reason: string, message: string): void {
    this.#show({ state: { waiting: { reason, message } } });
  }

  #show(change: Partial<PodSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    this.#report();
  }

  #report(): void {
    const pod = this.#pod;
    if (pod === undefined) return;
    const status = podStatus(pod, this.#snapshot, this.#deps.api.now());
    if (status !== undefined) this.#deps.api.store.put("pods", { ...pod, status });
  }

  #event(type: "Normal" | "Warning", reason: string, message: string): void {
    const pod = this.#pod;
    if (pod !== undefined) recordEvent(this.#deps.api, pod, type, reason, message, "kubelet");
  }
}
