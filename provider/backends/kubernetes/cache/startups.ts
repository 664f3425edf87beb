import type { V1Pod } from "@kubernetes/client-node";
import { STARTUP_PHASES, type Startup } from "../../../../contract/endpoints.ts";
import type { ColdStartPhase } from "../../backend.ts";
import { decidePhaseTime, readPhases } from "../resources/phases.ts";
import type { HeardAnnouncement } from "./announcements.ts";

interface PodStartup {
  readonly owner: string;
  readonly createdAt: number;
  /** Milliseconds since the epoch. */
  readonly at: Map<ColdStartPhase, number>;
  /** Phases that were counted. */
  readonly counted: Set<ColdStartPhase>;
}

export interface StartupsOptions {
  /** @param owner `name.namespace` of the function */
  count(owner: string, phase: ColdStartPhase, ms: number): void;
  now(): number;
}

/** Gateways need it when the pod becomes ready; the cache of thousands of pods need not carry it for ever. */
const TOLD_MS = 30_000;

/**
 * No phase is later than those that came after it: the API tells late, and to the second, what the pod and our own clock
 * tell better.
 */
function inOrder(at: Map<ColdStartPhase, number>): void {
  let bound = Number.POSITIVE_INFINITY;
  for (const phase of STARTUP_PHASES.toReversed()) {
    const reached = at.get(phase);
    if (reached === undefined) continue;
    bound = Math.min(bound, reached);
    at.set(phase, bound);
  }
}

/** How far each pod has come that is starting for the first time. */
export class Startups {
  readonly #options: StartupsOptions;
  readonly #byPod = new Map<string, PodStartup>();
  /** Startup times of offered pods for gateways, in the order in which they expire. */
  readonly #told = new Map<string, { readonly startup: Startup; readonly until: number }>();

  constructor(options: StartupsOptions) {
    this.#options = options;
  }

  /** @param isNew the pod was not known before */
  see(key: string, owner: string, pod: V1Pod, isNew: boolean): void {
    const seenAt = this.#options.now();
    this.#expire(seenAt);
    if (!isNew && !this.#byPod.has(key)) return;
    const stamps = readPhases(pod);
    const restarted = pod.status?.containerStatuses?.some(({ restartCount }) => restartCount > 0) ?? false;
    if (isNew) {
      this.forget(key);
      // Of those that were up before us nobody knows how they came up.
      if (stamps.created === undefined || stamps.ready !== undefined || pod.metadata?.deletionTimestamp) return;
      const createdAt = decidePhaseTime(stamps.created, seenAt, {});
      this.#byPod.set(key, { owner, createdAt, at: new Map(), counted: new Set() });
    }
    const startup = this.#byPod.get(key);
    if (!startup) return;
    if (restarted || pod.metadata?.deletionTimestamp) {
      // What crashes on its way up says nothing of how long the way is.
      this.forget(key);
      return;
    }
    const { at, createdAt } = startup;
    let after = createdAt;
    for (const phase of ["scheduled", "sandbox", "started", "ready"] as const) {
      const stamp = stamps[phase];
      if (stamp !== undefined && !at.has(phase)) {
        const before = phase === "ready" ? undefined : (at.get("started") ?? at.get("listening") ?? at.get("offered"));
        at.set(phase, decidePhaseTime(stamp, seenAt, { after, ...(before !== undefined && { before }) }));
      }
      after = at.get(phase) ?? after;
    }
    if (stamps.ready !== undefined) this.offer(key);
    this.#count(startup);
    // Nothing comes after that.
    if (stamps.ready !== undefined) this.#byPod.delete(key);
  }

  announced(key: string, { startedAt, listeningAt, heardAt }: HeardAnnouncement): void {
    const startup = this.#byPod.get(key);
    if (!startup || startup.at.has("announced")) return;
    const { at, counted, createdAt } = startup;
    at.set("announced", heardAt);
    const notBefore = at.get("scheduled") ?? createdAt;
    at.set("listening", Math.max(listeningAt, notBefore));
    // Nearer than the second that the API tells, which may have been counted already.
    if (!counted.has("started")) at.set("started", Math.max(startedAt, notBefore));
    this.#count(startup);
  }

  /** Gateways are being told that it is ready. */
  offer(key: string): void {
    const startup = this.#byPod.get(key);
    if (!startup || startup.at.has("offered")) return;
    const { at, createdAt } = startup;
    const now = this.#options.now();
    at.set("offered", now);
    inOrder(at);
    const told: [string, number][] = [];
    for (const phase of STARTUP_PHASES) {
      const reached = at.get(phase);
      if (reached !== undefined) told.push([phase, Math.max(0, Math.round(reached - createdAt))]);
    }
    this.#told.set(key, { startup: Object.fromEntries(told), until: now + TOLD_MS });
    this.#count(startup);
  }

  /** Whether there is anything to tell of any pod. */
  get tells(): boolean {
    return this.#told.size > 0;
  }

  /** Startup times of a pod that was offered a short time ago. */
  told(key: string): Startup | undefined {
    const told = this.#told.get(key);
    return told && told.until >= this.#options.now() ? told.startup : undefined;
  }

  forget(key: string): void {
    this.#byPod.delete(key);
    this.#told.delete(key);
  }

  #expire(now: number): void {
    for (const [key, { until }] of this.#told) {
      if (until >= now) return;
      this.#told.delete(key);
    }
  }

  /** Only of pods that come up: others would look quick. */
  #count({ at, counted, owner, createdAt }: PodStartup): void {
    if (!at.has("offered")) return;
    for (const [phase, reached] of at) {
      if (counted.has(phase)) continue;
      counted.add(phase);
      this.#options.count(owner, phase, Math.max(0, reached - createdAt));
    }
  }
}
