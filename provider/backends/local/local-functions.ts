import { join } from "node:path";
import { FaasError } from "../../../contract/errors.ts";
import {
  definitionProblems,
  type FunctionRef,
  type FunctionStatus,
  qualifiedName,
} from "../../../contract/functions.ts";
import { callersSecret } from "../../../contract/policies/call-policy.ts";
import type { SecretName } from "../../../contract/secrets.ts";
import { timeoutWarnings } from "../../../contract/timeouts.ts";
import { isVersion, parseVersionedName } from "../../../contract/versions/version-name.ts";
import { readDescriptor } from "../../../kit/read-descriptor.ts";
import type { CallsInFlight, FunctionStore, ResolvedDeployment } from "../backend.ts";
import type { WatchHub } from "../watch-hub.ts";
import { type Admission, type AdmissionContext, admit, pinnedImage } from "./admission.ts";
import { isUnchanged, normaliseDeployment, type StoredFunction } from "./definition.ts";
import { sweepLeftovers } from "./files.ts";
import { FunctionRunner, type RunnerSettings } from "./function-runner.ts";
import type { FunctionStorage } from "./function-table.ts";
import type { ImageUsage } from "./image-rule.ts";
import { canonicalReference, parseArtefactReference } from "./images.ts";
import { buildEndpoints, buildStatus } from "./status.ts";
import { measureReplicaUsage } from "./usage.ts";
import { deploymentWarnings, type Enforcement } from "./warnings.ts";

export interface LocalFunctionsOptions {
  readonly folder: string;
  readonly table: FunctionStorage;
  readonly hub: WatchHub;
  readonly around: AdmissionContext;
  readonly runner: RunnerSettings;
  readonly enforcement: Enforcement;
  /** Size of an artefact's files in bytes, as far as that is known. */
  sizeOfArtefact?(digest: string): number | undefined;
  hasNamespace(name: string): boolean;
}

/** The deployment by the name that its replicas are told, which is what has to keep the rules of names. */
function asTold(deployment: ResolvedDeployment): ResolvedDeployment {
  const { name, version } = parseVersionedName(deployment.service);
  return version !== undefined && isVersion(version) ? { ...deployment, service: name } : deployment;
}

/** Whether its name and image keep their rules; otherwise it is refused for them, whether or not it exists. */
function isSound(deployment: ResolvedDeployment): boolean {
  return definitionProblems(asTold(deployment)).length === 0;
}

/** The functions of the backend: definitions in the table, each with a runner that makes them true. */
export class LocalFunctions implements FunctionStore {
  readonly #options: LocalFunctionsOptions;
  readonly #runners = new Map<string, FunctionRunner>();
  /** Removed functions whose replicas still drain. */
  readonly #retiring = new Map<FunctionRunner, Promise<void>>();
  #closing: Promise<void> | undefined;

  private constructor(options: LocalFunctionsOptions) {
    this.#options = options;
  }

  /** Starts what should run, after clearing what an earlier life of the platform has left. */
  static async open(options: LocalFunctionsOptions): Promise<LocalFunctions> {
    const functions = new LocalFunctions(options);
    const records = options.table.all();
    const homes = new Set(records.map(homeName));
    const namespaces = new Set(records.map(({ namespace }) => namespace));
    const { log } = options.runner;
    const onError = (err: unknown) => log.warn({ err }, "could not remove the files of a removed function");
    await sweepLeftovers(options.folder, (name) => namespaces.has(name), onError);
    for (const namespace of namespaces) {
      await sweepLeftovers(join(options.folder, namespace), (name) => homes.has(join(namespace, name)), onError);
    }
    for (const record of records) functions.#run(record, true);
    return functions;
  }

  async list(namespace: string): Promise<FunctionStatus[]> {
    this.#requireNamespace(namespace);
    const runners = [...this.#runners.values()].filter(({ record }) => record.namespace === namespace);
    const statuses = await Promise.all(
      runners.map(async (runner) => {
        const sandbox = await runner.sandbox();
        return buildStatus(runner.record, runner.replicas, { sandbox, imageBytes: this.#imageBytes(runner) });
      }),
    );
    return statuses.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async get(ref: FunctionRef, usage = false): Promise<FunctionStatus | undefined> {
    const runner = this.find(ref);
    if (!runner) return undefined;
    const pids = runner.replicas.flatMap(({ pid }) => pid ?? []);
    const measured = usage ? await measureReplicaUsage(pids) : undefined;
    const sandbox = await runner.sandbox();
    const imageBytes = this.#imageBytes(runner);
    return buildStatus(runner.record, runner.replicas, { usage: measured, sandbox, imageBytes });
  }

  async create(deployment: ResolvedDeployment): Promise<void> {
    const { service: name, namespace } = deployment;
    this.#requireOpen();
    this.#requireNamespace(namespace);
    if (isSound(deployment) && this.find({ name, namespace })) {
      throw new FaasError("conflict", `unable to create function: ${name}.${namespace} already exists`);
    }
    const { digest, bounds } = this.#admit(deployment);
    const record = this.#options.table.insert({
      name,
      namespace,
      deployment: normaliseDeployment(deployment),
      digest,
      replicas: bounds.initial,
      createdAt: new Date(this.#options.runner.now()).toISOString().replace(/\.\d+Z$/, "Z"),
    });
    this.#run(record);
    this.#options.runner.onArtefactsChanged?.([]);
  }

  async update(deployment: ResolvedDeployment): Promise<void> {
    const { service: name, namespace } = deployment;
    this.#requireOpen();
    this.#requireNamespace(namespace);
    const runner = this.find({ name, namespace });
    if (!isSound(deployment)) this.#admit(deployment);
    if (!runner) {
      const why = `unable to update function: ${name}.${namespace}, error: function "${name}" not found`;
      throw new FaasError("notFound", why);
    }
    const { digest, bounds } = this.#admit(deployment);
    const next = normaliseDeployment(deployment);
    if (isUnchanged(runner.record, next, digest)) return;
    const replicas = Math.max(runner.record.replicas, bounds.min);
    runner.want();
    const record = { ...runner.record, deployment: next, digest, replicas };
    const stays = deployment.keepsReplicas && digest === runner.record.digest;
    runner.apply(stays ? this.#options.table.redescribe(record) : this.#options.table.replace(record));
    this.#options.runner.onArtefactsChanged?.([]);
  }

  async deployed(ref: FunctionRef): Promise<ResolvedDeployment | undefined> {
    const record = this.find(ref)?.record;
    return record && { ...record.deployment, digest: `sha256:${record.digest}` };
  }

  async digestOf(deployment: ResolvedDeployment): Promise<string | undefined> {
    const artefact = deployment.image === "" ? undefined : this.#options.around.resolveImage(pinnedImage(deployment));
    return artefact && `sha256:${artefact.digest}`;
  }

  async warningsFor(deployment: ResolvedDeployment): Promise<readonly string[]> {
    const artefact = this.#options.around.resolveImage(deployment.image);
    // An artefact that cannot be read has warned by itself: nothing of it starts.
    const { env } = await readDescriptor(artefact?.path ?? "").catch(() => ({ env: {} }));
    return [
      ...deploymentWarnings(deployment, this.#options.enforcement),
      ...timeoutWarnings({ ...env, ...deployment.envVars }, deployment.annotations),
    ];
  }

  async remove(ref: FunctionRef): Promise<void> {
    this.#requireOpen();
    const runner = this.#require(ref);
    this.#options.table.remove(ref);
    this.#runners.delete(qualifiedName(ref));
    this.#options.hub.remove(ref);
    this.#options.runner.coldStarts?.forget(ref);
    const { log } = this.#options.runner;
    const retired = runner
      .retire()
      .catch((err) => log.warn({ function: ref.name, namespace: ref.namespace, err }, "could not clean up a function"))
      .finally(() => {
        this.#retiring.delete(runner);
        this.#options.runner.onArtefactsChanged?.(runner.digests);
      });
    this.#retiring.set(runner, retired);
  }

  async scale(ref: FunctionRef, replicas: number, inFlight?: CallsInFlight): Promise<void> {
    this.#requireOpen();
    const runner = this.#require(ref);
    const { maxReplicas } = this.#options.around;
    if (!Number.isSafeInteger(replicas) || replicas < 0) {
      throw new FaasError("invalid", `replicas: ${replicas} is not a whole number of at least 0`);
    }
    if (replicas > maxReplicas) {
      throw new FaasError("invalid", `replicas: ${replicas} is over the limit of ${maxReplicas}`);
    }
    if (replicas === runner.record.replicas) return;
    // Nobody wakes a function that is not called.
    if (runner.record.replicas === 0) runner.expedite();
    else runner.want();
    runner.apply(this.#options.table.setReplicas(runner.record, replicas), inFlight);
  }

  expedite(ref: FunctionRef): void {
    this.find(ref)?.expedite();
  }

  find(ref: FunctionRef): FunctionRunner | undefined {
    return this.#runners.get(qualifiedName(ref));
  }

  hasAny(namespace: string): boolean {
    return [...this.#runners.values()].some(({ record }) => record.namespace === namespace);
  }

  /** What of the images is needed now, by functions that are being removed too. */
  imageUsage(): Omit<ImageUsage, "isHeld"> {
    const runners = [...this.#runners.values()];
    return {
      digests: new Set([...runners, ...this.#retiring.keys()].flatMap((runner) => runner.digests)),
      references: new Set(
        runners.map(({ record }) => canonicalReference(parseArtefactReference(record.deployment.image))),
      ),
    };
  }

  /** Names of the functions that are deployed with a secret, or whose callers are checked by it. */
  usersOf({ name, namespace }: SecretName): string[] {
    const records = [...this.#runners.values()].map(({ record }) => record);
    const users = records.filter(
      (record) =>
        record.namespace === namespace &&
        (record.deployment.secrets?.includes(name) || callersSecret(record.deployment.annotations) === name),
    );
    return [...new Set(users.map((record) => parseVersionedName(record.name).name))];
  }

  /** Hands a secret's new value to the functions that have it. */
  async refreshSecret({ name, namespace }: SecretName, value: Buffer): Promise<void> {
    const users = [...this.#runners.values()].filter(({ record }) => record.namespace === namespace);
    await Promise.all(users.map((runner) => runner.refreshSecret(name, value)));
  }

  /** Tells that all replicas are about to go. */
  leave(): void {
    for (const runner of this.#runners.values()) runner.leave();
  }

  /** Drains and stops all replicas within `drainTimeoutMs`; definitions stay. */
  close(drainTimeoutMs: number): Promise<void> {
    this.#closing ??= this.#close(drainTimeoutMs);
    return this.#closing;
  }

  async #close(drainTimeoutMs: number): Promise<void> {
    const running = [...this.#runners.values(), ...this.#retiring.keys()];
    await Promise.all(running.map((runner) => runner.close(drainTimeoutMs)));
    await Promise.all(this.#retiring.values());
  }

  #run(record: StoredFunction, recovered = false): void {
    const { runner: settings, hub } = this.#options;
    const key = qualifiedName(record);
    const publish = (runner: FunctionRunner) => {
      // A function that was removed has nothing to say any more, above all not about its successor.
      if (this.#runners.get(key) === runner) {
        const versionOf = (generation: number) => runner.versionOf(generation);
        hub.publish(buildEndpoints(runner.record, runner.replicas, runner.artefactEnv, versionOf));
      }
    };
    const runner = new FunctionRunner(this.#homeOf(record), record, settings, publish, recovered);
    this.#runners.set(key, runner);
    publish(runner);
  }

  #admit(deployment: ResolvedDeployment): Admission {
    return admit(asTold(deployment), this.#options.around);
  }

  #imageBytes({ record }: FunctionRunner): number | undefined {
    return this.#options.sizeOfArtefact?.(record.digest);
  }

  #homeOf(record: StoredFunction): string {
    return join(this.#options.folder, homeName(record));
  }

  #require(ref: FunctionRef): FunctionRunner {
    const runner = this.find(ref);
    if (!runner) throw new FaasError("notFound", `function "${ref.name}" not found`);
    return runner;
  }

  #requireNamespace(name: string): void {
    if (!this.#options.hasNamespace(name)) throw new FaasError("invalid", `namespace not found: ${name}`);
  }

  #requireOpen(): void {
    if (this.#closing) throw new FaasError("unavailable", "the provider is shutting down");
  }
}

/** Folder of a function. Neither a dot nor an @ can be in a name, so no function's folder is another's. */
function homeName({ namespace, name, uid }: StoredFunction): string {
  return join(namespace, `${name}.${uid}`);
}
