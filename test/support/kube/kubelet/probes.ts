import type { Container } from "../workloads.ts";
import { Prober } from "./prober.ts";
import type { RunningContainer } from "./runtime.ts";

export interface ProbeListener {
  onReady(ready: boolean): void;
  /** It has not come up, or does not live any more. */
  onDead(which: "Startup" | "Liveness"): void;
}

/** All probes of a running container: the others begin once the startup probe has succeeded. */
export class ContainerProbes {
  readonly #container: Container;
  readonly #running: RunningContainer;
  readonly #eagerMs: number | undefined;
  readonly #listener: ProbeListener;
  readonly #probers = new Set<Prober>();

  /** @param eagerMs see `Timing.eagerProbeMs` */
  constructor(container: Container, running: RunningContainer, eagerMs: number | undefined, listener: ProbeListener) {
    this.#container = container;
    this.#running = running;
    this.#eagerMs = eagerMs;
    this.#listener = listener;
    if (container.startupProbe === undefined) this.#begin();
    else this.#startUp(container.startupProbe);
  }

  close(): void {
    for (const prober of this.#probers) prober.close();
    this.#probers.clear();
  }

  #startUp(probe: NonNullable<Container["startupProbe"]>): void {
    const prober = new Prober(probe, this.#running, undefined, (succeeds) => {
      prober.close();
      this.#probers.delete(prober);
      if (succeeds) this.#begin();
      else this.#listener.onDead("Startup");
    });
    this.#probers.add(prober);
  }

  #begin(): void {
    const { readinessProbe, livenessProbe } = this.#container;
    if (readinessProbe === undefined) this.#listener.onReady(true);
    else {
      const onVerdict = (ready: boolean) => this.#listener.onReady(ready);
      this.#probers.add(new Prober(readinessProbe, this.#running, this.#eagerMs, onVerdict));
    }
    if (livenessProbe === undefined) return;
    const prober = new Prober(livenessProbe, this.#running, undefined, (alive) => {
      if (alive) return;
      prober.close();
      this.#listener.onDead("Liveness");
    });
    this.#probers.add(prober);
  }
}
