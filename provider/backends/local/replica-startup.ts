import type { Startup, StartupPhase } from "../../../contract/endpoints.ts";

/** How far a replica has come that starts for the first time. Later starts of its process are no cold starts. */
export class ReplicaStartup {
  readonly #now: () => number;
  readonly #createdAt: number;
  readonly #phases: Partial<Record<StartupPhase, number>> = {};
  #over: "ready" | "failed" | undefined;

  constructor(now: () => number) {
    this.#now = now;
    this.#createdAt = now();
  }

  reach(phase: StartupPhase): void {
    if (!this.#over) this.#phases[phase] ??= Math.max(0, this.#now() - this.#createdAt);
  }

  /** @returns all phases, the first time that it is ready */
  finish(): Startup | undefined {
    if (this.#over) return undefined;
    this.reach("listening");
    this.reach("offered");
    this.#over = "ready";
    return this.#phases;
  }

  /** Its process has ended. */
  fail(): void {
    this.#over = "failed";
  }

  /** Undefined until it is ready, and when that took more than one process. */
  get told(): Startup | undefined {
    return this.#over === "ready" ? this.#phases : undefined;
  }
}
