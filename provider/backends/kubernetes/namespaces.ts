import type { V1Namespace } from "@kubernetes/client-node";
import { FaasError } from "../../../contract/errors.ts";
import type { FunctionNamespace } from "../../../contract/namespaces.ts";
import { isNamespaceName } from "../../../contract/namespaces.ts";
import { sleep } from "../../../kit/sleep.ts";
import type { NamespaceStore } from "../backend.ts";
import { hasStatus } from "./client/api-error.ts";
import type { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import type { WatchSink } from "./client/watcher.ts";
import { NAMESPACE_MARK } from "./resources/names.ts";
import {
  buildNamespace,
  isFunctionNamespace,
  namespaceProblems,
  planNamespaceUpdate,
  readNamespace,
} from "./resources/namespace.ts";

export interface NamespacesOptions {
  readonly client: KubernetesClient;
  readonly defaultName: string;
  /** Whether there are others than the default one. */
  readonly several: boolean;
  hasFunctions(namespace: string): boolean;
  /** Some have come or gone. */
  onChange(): void;
  /** Resolves once the cache is whole. @throws {FaasError} `unavailable` */
  ready(): Promise<void>;
}

/** One that is on its way out may come back once it is gone; how long to wait for that. */
const GONE_WITHIN_MS = 15_000;

const nameOf = ({ metadata }: V1Namespace) => metadata?.name ?? "";

/** Namespaces that are marked for functions, and the default one. */
export class KubernetesNamespaces implements NamespaceStore {
  readonly #options: NamespacesOptions;
  readonly #known = new Set<string>();
  /** `uid`s of those whose deletion was accepted but not seen yet. */
  readonly #removed = new Set<string>();

  readonly sink: WatchSink<V1Namespace> = {
    replace: (objects) => {
      this.#known.clear();
      for (const object of objects) if (this.#isOurs(object)) this.#known.add(nameOf(object));
      this.#options.onChange();
    },
    put: (object) => {
      const had = this.#known.has(nameOf(object));
      const has = this.#isOurs(object);
      if (has) this.#known.add(nameOf(object));
      // Events of one that was removed may be of before it was made anew.
      else if (!this.#removed.has(object.metadata?.uid ?? "")) this.#known.delete(nameOf(object));
      if (had !== has) this.#options.onChange();
    },
    remove: (object) => {
      if (this.#removed.delete(object.metadata?.uid ?? "")) return;
      if (this.#known.delete(nameOf(object))) this.#options.onChange();
    },
  };

  constructor(options: NamespacesOptions) {
    this.#options = options;
  }

  has(name: string): boolean {
    return name === this.#options.defaultName || this.#known.has(name);
  }

  async list(): Promise<string[]> {
    await this.#options.ready();
    const { defaultName } = this.#options;
    return [defaultName, ...[...this.#known].filter((name) => name !== defaultName).sort()];
  }

  async get(name: string): Promise<FunctionNamespace | undefined> {
    const found = await this.#find(name);
    if (!found) return undefined;
    const { labels, annotations } = readNamespace(found);
    return { name, labels: { ...labels }, annotations: { ...annotations } };
  }

  async create(namespace: FunctionNamespace): Promise<void> {
    const { name } = namespace;
    check(namespace);
    if (name === this.#options.defaultName) throw new FaasError("conflict", `namespace ${name} already exists`);
    this.#requireSeveral();
    const { client, onChange } = this.#options;
    const deadline = performance.now() + GONE_WITHIN_MS;
    for (;;) {
      try {
        await client.create(apiPath.namespaces, buildNamespace(namespace));
        this.#known.add(name);
        return onChange();
      } catch (cause) {
        if (!hasStatus(cause, 409)) throw cause;
        const found = await client.find<V1Namespace>(apiPath.namespace(name));
        if (found && !found.metadata?.deletionTimestamp) {
          throw new FaasError("conflict", `namespace ${name} already exists`, { cause });
        }
        if (performance.now() > deadline) {
          throw new FaasError("conflict", `namespace ${name} is still being removed`, { cause });
        }
        await sleep(100, AbortSignal.timeout(GONE_WITHIN_MS));
      }
    }
  }

  async update(namespace: FunctionNamespace): Promise<void> {
    const { name } = namespace;
    const found = await this.#find(name);
    check(namespace, found && readNamespace(found));
    if (!found) throw new FaasError("notFound", `namespace ${name} not found`);
    this.#requireSeveral();
    await this.#options.client.mergePatch(apiPath.namespace(name), planNamespaceUpdate(found, namespace));
  }

  async remove(name: string): Promise<void> {
    const { defaultName, client, hasFunctions, onChange } = this.#options;
    if (name === defaultName) throw new FaasError("invalid", `namespace ${name} is the default and cannot be removed`);
    const found = await this.#find(name);
    if (!found) throw new FaasError("notFound", `namespace ${name} not found`);
    if (hasFunctions(name)) throw new FaasError("conflict", `namespace ${name} still has functions`);
    await client.remove(apiPath.namespace(name), found.metadata?.uid);
    this.#removed.add(found.metadata?.uid ?? "");
    this.#known.delete(name);
    onChange();
  }

  #isOurs(object: V1Namespace): boolean {
    return isFunctionNamespace(object) && !this.#removed.has(object.metadata?.uid ?? "");
  }

  async #find(name: string): Promise<V1Namespace | undefined> {
    const { client, defaultName, several } = this.#options;
    await this.#options.ready();
    const isDefault = name === defaultName;
    // What is no name would lead to other objects.
    if ((!isDefault && !several) || !isNamespaceName(name)) return undefined;
    const found = await client.find<V1Namespace>(apiPath.namespace(name));
    if (isDefault) return found ?? { metadata: { name, labels: NAMESPACE_MARK, annotations: NAMESPACE_MARK } };
    return found && isFunctionNamespace(found) ? found : undefined;
  }

  #requireSeveral(): void {
    if (this.#options.several) return;
    throw new FaasError("forbidden", "namespaces are not managed by this provider: cluster_role is off");
  }
}

function check(namespace: FunctionNamespace, before?: FunctionNamespace): void {
  const problems = namespaceProblems(namespace, before);
  if (problems.length > 0) throw new FaasError("invalid", problems.join("; "));
}
