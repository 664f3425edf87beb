import { FaasError } from "../../../contract/errors.ts";
import type { FunctionRef } from "../../../contract/functions.ts";
import type { ResolvedDeployment } from "../backend.ts";
import { hasStatus } from "./client/api-error.ts";
import type { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import { deploymentToFunction, type FunctionObject } from "./resources/function-object.ts";
import { hashOf } from "./resources/hash.ts";

export interface FunctionObjectsOptions {
  readonly client: Pick<KubernetesClient, "get" | "find" | "create" | "jsonPatch" | "remove">;
  /** In milliseconds, for measuring time. */
  now(): number;
}

/** A Function that was written, and the way back. */
export interface WrittenFunction {
  readonly object: FunctionObject;
  /** Makes it what it was before, unless somebody has written it since. */
  undo(): Promise<void>;
}

/** How long a cluster is taken to lack the kind after it said so. */
const ABSENT_MS = 10_000;

/** The Function objects of a cluster that may have none: the API's view of what `kubectl` sees. */
export class FunctionObjects {
  readonly #options: FunctionObjectsOptions;
  #absentUntil = Number.NEGATIVE_INFINITY;

  constructor(options: FunctionObjectsOptions) {
    this.#options = options;
  }

  /** Undefined also when it is on its way out, or the kind is not installed. */
  async find({ name, namespace }: FunctionRef): Promise<FunctionObject | undefined> {
    if (this.#isAbsent()) return undefined;
    const found = await this.#options.client.find<FunctionObject>(apiPath.function(namespace, name));
    return found?.metadata.deletionTimestamp ? undefined : found;
  }

  /**
   * Undefined when the kind is not installed.
   * @throws {FaasError} `conflict` when there is one
   */
  async create(deployment: ResolvedDeployment): Promise<WrittenFunction | undefined> {
    if (this.#isAbsent()) return undefined;
    const { namespace } = deployment;
    try {
      const path = apiPath.functions(namespace);
      const object = await this.#options.client.create<FunctionObject>(path, deploymentToFunction(deployment));
      return { object, undo: () => this.remove(object) };
    } catch (error) {
      if (!hasStatus(error, 404) || (await this.#isInstalled(namespace))) throw error;
      this.#absentUntil = this.#options.now() + ABSENT_MS;
      return undefined;
    }
  }

  /**
   * Replaces its definition, whichever client wrote the last one; undefined when the kind is not installed.
   * @param stays whether one is left as it is
   */
  async write(
    deployment: ResolvedDeployment,
    stays: (existing: FunctionObject) => boolean = () => false,
  ): Promise<WrittenFunction | undefined> {
    const { namespace, service: name } = deployment;
    const existing = await this.find({ name, namespace });
    if (!existing) return await this.create(deployment);
    const { handler } = existing.spec;
    const spec = { ...deploymentToFunction(deployment).spec, ...(handler !== undefined && { handler }) };
    if (hashOf(spec) === hashOf(existing.spec) || stays(existing)) return { object: existing, undo: async () => {} };
    // Not by apply: what others own of the definition would stay in it.
    const path = apiPath.function(namespace, name);
    const replaceSpec = (value: unknown) => ({ op: "replace", path: "/spec", value }) as const;
    const object = await this.#options.client.jsonPatch<FunctionObject>(path, [replaceSpec(spec)]);
    const undo = async () => {
      const version = {
        op: "replace",
        path: "/metadata/resourceVersion",
        value: object.metadata.resourceVersion,
      } as const;
      await this.#options.client.jsonPatch(path, [version, replaceSpec(existing.spec)]).catch(ignoreChanged);
    };
    return { object, undo };
  }

  /** What belongs to it follows in the background. */
  async remove({ metadata: { name = "", namespace = "", uid } }: FunctionObject): Promise<void> {
    await this.#options.client.remove(apiPath.function(namespace, name), uid).catch(ignoreChanged);
  }

  /** A namespace that is gone has no Functions, which is no error; a kind that is not installed is. */
  async #isInstalled(namespace: string): Promise<boolean> {
    try {
      await this.#options.client.get(apiPath.functions(namespace), { limit: 1 });
      return true;
    } catch (error) {
      if (hasStatus(error, 404)) return false;
      throw error;
    }
  }

  #isAbsent(): boolean {
    return this.#options.now() < this.#absentUntil;
  }
}

/** It has gone, or become another one. */
function ignoreChanged(error: unknown): void {
  if (!hasStatus(error, 404) && !hasStatus(error, 409)) throw error;
}

/**
 * Does what follows from a Function that was written, and takes the writing back when that fails.
 * @throws what `work` throws
 */
export async function withFunction<T>(
  written: WrittenFunction | undefined,
  work: (object: FunctionObject | undefined) => Promise<T>,
): Promise<T> {
  try {
    return await work(written?.object);
  } catch (error) {
    try {
      await written?.undo();
    } catch (undoing) {
      const { kind, message } = error instanceof FaasError ? error : { kind: "internal" as const, message: "" };
      const both = new AggregateError([error, undoing]);
      throw new FaasError(kind, `${message}; its Function object stays as it was deployed`.replace(/^; /, ""), {
        cause: both,
      });
    }
    throw error;
  }
}
