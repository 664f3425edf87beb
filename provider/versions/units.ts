import { FaasError } from "../../contract/errors.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import type { FunctionVersion } from "../../contract/versions/function-versions.ts";
import { versionedName } from "../../contract/versions/version-name.ts";
import type { CallsInFlight, FunctionStore, ResolvedDeployment } from "../backends/backend.ts";
import { contentOf, deploymentOf, sameContent } from "./content.ts";
import type { VersionView } from "./version-view.ts";

export function unitRef({ name, namespace }: FunctionRef, version: string): FunctionRef {
  return { name: versionedName(name, version), namespace };
}

/** Labels and annotations that the platform adds to what it shows of a deployment. */
const SHOWN = { label: "faas_function", annotation: "prometheus.io.scrape" } as const;

/** What a function, or a version beside it, was last deployed with. */
export async function deployedOf(store: FunctionStore, ref: FunctionRef): Promise<ResolvedDeployment | undefined> {
  if (store.deployed) return await store.deployed(ref);
  const status = await store.get(ref);
  if (!status) return undefined;
  const { image, envProcess, envVars, constraints, secrets, limits, requests, readOnlyRootFilesystem } = status;
  const { [SHOWN.label]: _name, ...labels } = status.labels ?? {};
  const { [SHOWN.annotation]: _scrape, ...annotations } = status.annotations ?? {};
  return {
    service: ref.name,
    namespace: ref.namespace,
    image,
    labels,
    annotations,
    envProcess,
    envVars,
    constraints,
    secrets,
    limits,
    requests,
    readOnlyRootFilesystem,
  };
}

/** Makes, scales and removes what runs of versions beside the function's own replicas. */
export class Units {
  readonly #store: FunctionStore;
  readonly #view: Pick<VersionView, "rowOf" | "besideOf">;

  constructor(store: FunctionStore, view: Pick<VersionView, "rowOf" | "besideOf">) {
    this.#store = store;
    this.#view = view;
  }

  /**
   * Sees to it that the version has a place beside the function's own, with at least `replicas`.
   * @param present as the function is deployed now
   * @throws {FaasError} `invalid` as a deploy of it would be
   */
  async ensure(present: ResolvedDeployment, version: FunctionVersion, replicas: number): Promise<void> {
    const ref = unitRef({ name: present.service, namespace: present.namespace }, version.version);
    const deployment = deploymentOf(present, version, ref.name);
    const there = await deployedOf(this.#store, ref);
    if (!there) await this.#create(deployment);
    else if (!sameContent(contentOf(there), version.content)) await this.#store.update(deployment);
    const wanted = (await this.#replicasOf(ref, version.version)) ?? 1;
    if (wanted < replicas || (replicas === 0 && !there)) await this.#store.scale(ref, replicas);
  }

  async #create(deployment: ResolvedDeployment): Promise<void> {
    try {
      await this.#store.create(deployment);
    } catch (error) {
      // Another provider was faster.
      if (!(error instanceof FaasError) || error.kind !== "conflict") throw error;
      await this.#store.update(deployment);
    }
  }

  async #replicasOf(ref: FunctionRef, version: string): Promise<number | undefined> {
    const { name, namespace } = ref;
    const known = this.#view.rowOf({ name: name.slice(0, name.indexOf("@")), namespace }, version)?.replicas;
    return known ?? (await this.#store.get(ref))?.replicas;
  }

  /** @throws {FaasError} `notFound` when nothing of it is beside the function */
  async scale(ref: FunctionRef, version: string, replicas: number, inFlight?: CallsInFlight): Promise<void> {
    await this.#store.scale(unitRef(ref, version), replicas, inFlight);
  }

  async remove(ref: FunctionRef, version: string): Promise<void> {
    try {
      await this.#store.remove(unitRef(ref, version));
    } catch (error) {
      if (!(error instanceof FaasError) || error.kind !== "notFound") throw error;
    }
  }

  async removeAll(ref: FunctionRef): Promise<void> {
    for (const version of this.#view.besideOf(ref)) await this.remove(ref, version);
  }
}
