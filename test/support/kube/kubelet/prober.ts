import type { Probe } from "../workloads.ts";
import type { RunningContainer } from "./runtime.ts";

/** Runs one probe of a container again and again, and tells when its verdict changes. */
export class Prober {
  readonly #probe: Probe;
  readonly #container: RunningContainer;
  readonly #onVerdict: (succeeds: boolean) => void;
  readonly #eagerMs: number | undefined;
  #streak = { succeeded: true, count: 0 };
  #verdict: boolean | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param eagerMs see `Timing.eagerProbeMs` */
  constructor(
    probe: Probe,
    container: RunningContainer,
    eagerMs: number | undefined,
    onVerdict: (succeeds: boolean) => void,
  ) {
    this.#probe = probe;
    this.#container = container;
    this.#onVerdict = onVerdict;
    this.#eagerMs = eagerMs;
    this.#next(eagerMs === undefined ? (probe.initialDelaySeconds ?? 0) * 1000 : 0);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #next(delayMs: number): void {
    this.#timer = setTimeout(() => void this.#run(), delayMs).unref();
  }

  async #run(): Promise<void> {
    const succeeded = await this.#container.probe(this.#probe);
    if (this.#closed) return;
    this.#streak = { succeeded, count: succeeded === this.#streak.succeeded ? this.#streak.count + 1 : 1 };
    const threshold = succeeded ? this.#probe.successThreshold : this.#probe.failureThreshold;
    if (this.#streak.count >= threshold && this.#verdict !== succeeded) {
      this.#verdict = succeeded;
      this.#onVerdict(succeeded);
    }
    const isEager = this.#eagerMs !== undefined && this.#verdict !== true;
    if (!this.#closed) this.#next(isEager ? (this.#eagerMs as number) : this.#probe.periodSeconds * 1000);
  }
}
