import type { V1ConfigMap, V1OwnerReference } from "@kubernetes/client-node";
import { FaasError } from "../../../contract/errors.ts";
import { type FunctionRef, isFunctionName, qualifiedName } from "../../../contract/functions.ts";
import type { FunctionVersions } from "../../../contract/versions/function-versions.ts";
import type { Logger } from "../../../kit/log.ts";
import type { VersionStore } from "../backend.ts";
import { isOlder } from "./cache/informer-cache.ts";
import { hasStatus } from "./client/api-error.ts";
import type { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import type { WatchSink } from "./client/watcher.ts";
import { buildVersionsMap, readVersionsMap, versionsMapName, versionsMapOf } from "./resources/versions-map.ts";

export interface KubernetesVersionsOptions {
  readonly client: Pick<KubernetesClient, "find" | "create" | "replace" | "remove">;
  readonly log: Pick<Logger, "warn">;
  /** @throws {FaasError} `invalid` for an unknown namespace, `unavailable` when closed or without a cache */
  requireNamespace(name: string): Promise<void>;
  /** Whether functions may live there. */
  hasNamespace(name: string): boolean;
  /** What goes with a function; undefined while it has no objects. */
  ownerOf(ref: FunctionRef): V1OwnerReference | undefined;
}

/** What is known of one ConfigMap. */
interface Known {
  readonly ref: FunctionRef;
  readonly map: V1ConfigMap;
  /** Or why it has none. */
  readonly versions: FunctionVersions | FaasError;
}

type Listener = Parameters<VersionStore["follow"]>[0];

/** What is kept about versions, in a ConfigMap beside each function's Deployment, as any provider last wrote it. */
export class KubernetesVersions implements VersionStore {
  readonly isShared = true;
  readonly #options: KubernetesVersionsOptions;
  readonly #known = new Map<string, Known>();
  /** `uid`s of those whose deletion was accepted but not seen yet. */
  readonly #removed = new Set<string>();
  readonly #listeners = new Set<Listener>();
  /** What those who follow know. */
  readonly #told = new Map<string, FunctionVersions>();

  readonly sink: WatchSink<V1ConfigMap> = {
    replace: (maps) => {
      this.#removed.clear();
      const seen = new Set(maps.map((map) => map.metadata?.uid));
      for (const map of maps) this.sink.put(map);
      for (const { map } of [...this.#known.values()]) if (!seen.has(map.metadata?.uid)) this.sink.remove(map);
    },
    put: (map) => {
      const ref = versionsMapOf(map);
      if (!ref || this.#removed.has(map.metadata?.uid ?? "")) return;
      const key = qualifiedName(ref);
      const before = this.#known.get(key);
      if (before && (isOlder(map, before.map) || isSame(map, before.map))) return;
      const versions = this.#read(map);
      this.#known.set(key, { ref, map, versions });
      if (!(versions instanceof FaasError)) this.#tell(ref, versions);
    },
    remove: (map) => {
      const ref = versionsMapOf(map);
      this.#removed.delete(map.metadata?.uid ?? "");
      if (ref) this.#forget(ref, map.metadata?.uid);
    },
  };

  constructor(options: KubernetesVersionsOptions) {
    this.#options = options;
  }

  async get(ref: FunctionRef): Promise<FunctionVersions | undefined> {
    await this.#options.requireNamespace(ref.namespace);
    return this.find(ref);
  }

  /** As far as it has been seen. @throws {FaasError} `conflict` when somebody has made something else of it */
  find(ref: FunctionRef): FunctionVersions | undefined {
    const versions = this.#known.get(qualifiedName(ref))?.versions;
    if (versions instanceof FaasError) throw versions;
    return versions;
  }

  /** As {@link find}, but for what cannot be read, of which nothing is known. */
  peek(ref: FunctionRef): FunctionVersions | undefined {
    const versions = this.#known.get(qualifiedName(ref))?.versions;
    return versions instanceof FaasError ? undefined : versions;
  }

  async put(ref: FunctionRef, versions: FunctionVersions, generation: number): Promise<void> {
    const { client, requireNamespace, ownerOf } = this.#options;
    const { name, namespace } = ref;
    await requireNamespace(namespace);
    // What is no name would lead to other objects.
    if (!isFunctionName(name)) throw new FaasError("invalid", `${name} is no function's name`);
    const wanted = buildVersionsMap(ref, versions, ownerOf(ref));
    const path = apiPath.configMap(namespace, versionsMapName(name));
    const before = await client.find<V1ConfigMap>(path);
    // Who has read something old reads this the next time.
    if (before) this.sink.put(before);
    if ((before ? readVersionsMap(before).generation : 0) !== generation) throw changed(ref);
    try {
      const { resourceVersion } = before?.metadata ?? {};
      const replacing = { ...wanted, metadata: { ...wanted.metadata, ...(resourceVersion && { resourceVersion }) } };
      const map = before
        ? await client.replace<V1ConfigMap>(path, replacing)
        : await client.create<V1ConfigMap>(apiPath.configMaps(namespace), wanted);
      this.sink.put(map);
    } catch (cause) {
      // Removed meanwhile, written meanwhile, or made meanwhile.
      if (hasStatus(cause, 404) || hasStatus(cause, 409)) throw changed(ref, cause);
      throw cause;
    }
  }

  async remove(ref: FunctionRef): Promise<void> {
    const { client, requireNamespace } = this.#options;
    await requireNamespace(ref.namespace);
    if (!isFunctionName(ref.name)) return;
    const path = apiPath.configMap(ref.namespace, versionsMapName(ref.name));
    const found = await client.find<V1ConfigMap>(path);
    if (!found) return this.#forget(ref);
    const { uid } = found.metadata ?? {};
    try {
      await client.remove(path, uid);
    } catch (error) {
      // It went with its function.
      if (!hasStatus(error, 404)) throw error;
    }
    this.#removed.add(uid ?? "");
    this.#forget(ref);
  }

  follow(listener: Listener): () => void {
    this.#listeners.add(listener);
    for (const { ref, versions } of this.#known.values()) {
      if (!(versions instanceof FaasError) && this.#options.hasNamespace(ref.namespace)) listener(ref, versions);
    }
    return () => void this.#listeners.delete(listener);
  }

  /** Namespaces have come or gone. */
  republish(): void {
    for (const { ref, versions } of this.#known.values()) {
      if (!(versions instanceof FaasError)) this.#tell(ref, versions);
    }
  }

  #read(map: V1ConfigMap): FunctionVersions | FaasError {
    try {
      return readVersionsMap(map);
    } catch (error) {
      if (!(error instanceof FaasError)) throw error;
      const { name, namespace } = map.metadata ?? {};
      this.#options.log.warn({ err: error, configMap: name, namespace }, "versions of a function cannot be read");
      return error;
    }
  }

  #forget(ref: FunctionRef, uid?: string): void {
    const key = qualifiedName(ref);
    const known = this.#known.get(key);
    // Another one of that name may have been made and learned of meanwhile.
    if (!known || (uid !== undefined && known.map.metadata?.uid !== uid)) return;
    this.#known.delete(key);
    this.#tell(ref, undefined);
  }

  #tell(ref: FunctionRef, versions: FunctionVersions | undefined): void {
    const shown = this.#options.hasNamespace(ref.namespace) ? versions : undefined;
    const key = qualifiedName(ref);
    if (this.#told.get(key) === shown) return;
    if (shown) this.#told.set(key, shown);
    else this.#told.delete(key);
    for (const listener of this.#listeners) listener(ref, shown);
  }
}

const isSame = (a: V1ConfigMap, b: V1ConfigMap) =>
  a.metadata?.uid === b.metadata?.uid && a.metadata?.resourceVersion === b.metadata?.resourceVersion;

function changed({ name }: FunctionRef, cause?: unknown): FaasError {
  return new FaasError("conflict", `the versions of ${name} have changed in the meantime; read them again`, { cause });
}
