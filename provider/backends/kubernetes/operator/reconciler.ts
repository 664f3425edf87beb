import { isDeepStrictEqual } from "node:util";
import { FaasError } from "../../../../contract/errors.ts";
import { type FunctionRef, type FunctionStatus, qualifiedName } from "../../../../contract/functions.ts";
import type { FunctionVersions } from "../../../../contract/versions/function-versions.ts";
import type { Logger } from "../../../../kit/log.ts";
import { hasStatus } from "../client/api-error.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import { apiPath } from "../client/paths.ts";
import type { AppliedFunction, Reconciliation } from "../kubernetes-functions.ts";
import type { Progress } from "../resources/conditions.ts";
import type { FunctionObject, FunctionObjectStatus } from "../resources/function-object.ts";
import { decideFunctionStatus, showVersions } from "../resources/function-status.ts";
import type { Profile } from "../resources/profile.ts";
import {
  type Corrections,
  compare,
  decideCorrection,
  decideRequeueDelay,
  type Fingerprints,
  isSettled,
  isUrgent,
} from "./decisions.ts";
import { objectKey, RecordTable } from "./record-table.ts";
import {
  type ObjectRecord,
  type ProfileRecord,
  profileFingerprint,
  recordFunction,
  recordObject,
  type WatchedFunctionResource,
} from "./records.ts";
import { WorkQueue } from "./work-queue.ts";

export interface ReconcilerOptions {
  readonly client: Pick<KubernetesClient, "mergePatch">;
  /** See `KubernetesFunctions.reconcile`. */
  reconcile(ref: FunctionRef, how: Reconciliation, signal: AbortSignal): Promise<AppliedFunction | undefined>;
  /** What is kept of a function's versions. */
  versionsOf(ref: FunctionRef): FunctionVersions | undefined;
  /** What is known of a function's replicas. */
  statusOf(ref: FunctionRef): FunctionStatus | undefined;
  /** Whether functions may live there. */
  hasNamespace(name: string): boolean;
  readonly profilesNamespace: string;
  readonly log: Logger;
}

/** What is remembered of one Function besides its record. Times are those of `performance.now()`. */
interface State {
  /** What it was last found or made to be. */
  checked?: Fingerprints;
  /** What it was when it was first seen with this definition. */
  seen?: Fingerprints;
  /** Which profiles were used; only their names and generations. */
  profiles: readonly Profile[];
  /** Undefined until there is something to say. */
  progress?: Progress;
  /** In a row. */
  failures: number;
  corrections?: Corrections;
  /** No look at its objects before this. */
  holdUntil: number;
  /** No status before this. */
  quietUntil: number;
}

const CONCURRENCY = 8;
/** For the provider that took a deploy to apply it too; a second one would only be in its way. */
const DEPLOYING_MS = 3_000;
const DEPLOYED_MS = 200;
/** Between two writes of a status, as pods come and go one by one. */
const STATUS_MS = 1_000;
/** Why replicas do not come up may change without a sign. */
const UNHEALTHY_LOOK_MS = 5_000;

/** Keeps the objects of Functions as they say, and says in their status how far it has come. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #stopped = new AbortController();
  readonly #states = new Map<string, State>();
  readonly #queue = new WorkQueue({ concurrency: CONCURRENCY, work: (key) => this.#work(key) });
  #started = false;

  readonly functions = new RecordTable<WatchedFunctionResource>((key) => this.look(key));
  readonly deployments = new RecordTable<ObjectRecord>((key) => this.look(key));
  readonly services = new RecordTable<ObjectRecord>((key) => this.look(key));
  readonly profiles = new RecordTable<ProfileRecord>((profile) => {
    for (const [key, { profiles }] of this.functions.entries()) {
      if (profiles.some((name) => this.#profileKey(name) === profile)) this.look(key);
    }
  });

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** All that there is has been seen. */
  start(): void {
    this.#started = true;
    this.lookAtAll();
  }

  /** Something about a function, by its qualified name, may have changed. */
  look(key: string): void {
    if (this.#started) this.#queue.add(key);
  }

  lookAtAll(): void {
    for (const [key] of this.functions.entries()) this.look(key);
  }

  /** Somebody has done for a Function what there was to do. */
  observe({ object, deployment, service, profiles }: AppliedFunction): void {
    const [record, made, served] = [recordFunction(object), recordObject(deployment), recordObject(service)];
    const state = this.#stateOf(objectKey(record));
    // Thousands of functions may share a large one.
    state.profiles = profiles.map(({ metadata: { name = "", namespace = "", generation = 0 } = {} }) => ({
      metadata: { name, namespace, generation },
    }));
    state.progress = { kind: "applied" };
    state.failures = 0;
    state.holdUntil = 0;
    state.checked = {
      definition: definitionOf(record),
      profiles: profiles.map(({ metadata = {} }) => profileFingerprint(metadata)).join(),
      deployment: made.fingerprint,
      service: served.fingerprint,
    };
    this.functions.put(record);
    this.deployments.put(made);
    this.services.put(served);
  }

  /** Starts nothing any more; resolves once nothing is under way. May be called twice. */
  async close(): Promise<void> {
    this.#stopped.abort();
    await this.#queue.close();
  }

  async #work(key: string): Promise<void> {
    const record = this.functions.get(key);
    const { name = "", namespace = "" } = record?.metadata ?? {};
    if (!record || record.leaving) {
      this.#states.delete(key);
      return;
    }
    if (!this.#options.hasNamespace(namespace)) return;
    const state = this.#stateOf(key);
    let isHeld = false;
    try {
      isHeld = await this.#check(key, record, state);
      await this.#writeStatus(key, state);
    } catch (err) {
      if (this.#stopped.signal.aborted) return;
      this.#fail(state);
      this.#options.log.warn(
        { err, function: name, namespace, failures: state.failures },
        "reconcile failed; requeued",
      );
    }
    const waitMs = state.holdUntil - performance.now();
    // The hold may have ended since it was looked at; without another look nobody would notice.
    if (isHeld || waitMs > 0) this.#queue.add(key, Math.max(1, waitMs));
  }

  /** @returns whether it is on hold although something has changed */
  async #check(key: string, record: WatchedFunctionResource, state: State): Promise<boolean> {
    const now = this.#fingerprintsOf(key, record);
    const divergence = compare(state.checked, now);
    if (divergence === "none") return false;
    const settled = isSettled(record, (profile) => this.profiles.get(this.#profileKey(profile))?.generation);
    this.#notice(record, state, now, settled);
    if (performance.now() < state.holdUntil) return true;
    const { name = "", namespace = "" } = record.metadata;
    const purpose = settled && !state.checked ? "verify" : "restore";
    try {
      const applied = await this.#options.reconcile(
        { name, namespace },
        { purpose, fresh: record.fresh },
        this.#stopped.signal,
      );
      if (!applied) return false;
      this.observe(applied);
      if (divergence === "objects" && applied.changed) this.#corrected(record, state);
    } catch (error) {
      if (!(error instanceof FaasError) || error.kind === "unavailable") throw error;
      this.#fail(state);
      this.#refused(record, state, error.message);
    }
    return false;
  }

  /** Another definition than before begins anew, whatever was wrong with that. */
  #notice(record: WatchedFunctionResource, state: State, now: Fingerprints, settled: boolean): void {
    const isNew = compare(state.seen, now) === "definition";
    if (!isNew) {
      // Who took the deploy has applied it, or is about to end with that.
      const isApplied = state.progress?.kind === "working" && state.seen?.deployment !== now.deployment;
      if (isApplied) state.holdUntil = Math.min(state.holdUntil, performance.now() + DEPLOYED_MS);
      return;
    }
    state.seen = now;
    state.failures = 0;
    state.holdUntil = 0;
    if (settled) return;
    state.progress = { kind: "working" };
    if (record.deployed) state.holdUntil = performance.now() + DEPLOYING_MS;
  }

  #corrected({ metadata: { name, namespace } }: WatchedFunctionResource, state: State): void {
    const { corrections, waitMs } = decideCorrection(state.corrections, performance.now());
    state.corrections = corrections;
    state.holdUntil = performance.now() + waitMs;
    const facts = { function: name, namespace, corrections: corrections.count };
    this.#options.log.info(facts, "drift corrected");
  }

  #refused({ metadata: { name, namespace } }: WatchedFunctionResource, state: State, reason: string): void {
    if (state.progress?.kind !== "refused" || state.progress.message !== reason) {
      this.#options.log.warn({ function: name, namespace, reason }, "Function rejected");
    }
    state.progress = { kind: "refused", message: reason };
  }

  #fail(state: State): void {
    state.failures += 1;
    state.holdUntil = performance.now() + decideRequeueDelay(state.failures);
  }

  async #writeStatus(key: string, state: State): Promise<void> {
    const record = this.functions.get(key);
    const { progress, quietUntil, failures } = state;
    if (!record || !progress || this.#stopped.signal.aborted) return;
    // It will be another one in a moment.
    if (progress.kind === "working" && failures === 0) return;
    const { name = "", namespace = "" } = record.metadata;
    const { client, statusOf, versionsOf } = this.#options;
    const { replicas = 0, availableReplicas: readyReplicas = 0, problem } = statusOf({ name, namespace }) ?? {};
    if (replicas > 0 && readyReplicas === 0) this.#queue.add(key, UNHEALTHY_LOOK_MS);
    const { generation, status: before } = record;
    const facts = { progress, replicas, readyReplicas, generation, ...(problem !== undefined && { problem }) };
    const shown = showVersions({ name, namespace }, versionsOf({ name, namespace }), statusOf);
    const status = { ...decideFunctionStatus(record, facts, state.profiles, new Date()), ...shown };
    if (isDeepStrictEqual(status, before)) return;
    const waitMs = isUrgent(before, status) ? 0 : quietUntil - performance.now();
    if (waitMs > 0) {
      this.#queue.add(key, waitMs);
      return;
    }
    try {
      const { profiles = null, traffic = null, versions = null } = status as FunctionObjectStatus;
      const body = { status: { ...status, profiles, traffic, versions } };
      const object = await client.mergePatch<FunctionObject>(apiPath.functionStatus(namespace, name), body);
      state.quietUntil = performance.now() + STATUS_MS;
      this.functions.put(recordFunction(object));
    } catch (error) {
      // It has gone meanwhile, of which we will hear.
      if (!hasStatus(error, 404)) throw error;
    }
  }

  #fingerprintsOf(key: string, record: WatchedFunctionResource): Fingerprints {
    const profiles = record.profiles.flatMap((name) => this.profiles.get(this.#profileKey(name))?.fingerprint ?? []);
    return {
      definition: definitionOf(record),
      profiles: profiles.join(),
      deployment: this.deployments.get(key)?.fingerprint ?? "",
      service: this.services.get(key)?.fingerprint ?? "",
    };
  }

  #profileKey(name: string): string {
    return qualifiedName({ name, namespace: this.#options.profilesNamespace });
  }

  #stateOf(key: string): State {
    const known = this.#states.get(key);
    if (known) return known;
    const state: State = { profiles: [], failures: 0, holdUntil: 0, quietUntil: 0 };
    this.#states.set(key, state);
    return state;
  }
}

const definitionOf = ({ metadata, generation }: WatchedFunctionResource) => `${metadata.uid}:${generation}`;
