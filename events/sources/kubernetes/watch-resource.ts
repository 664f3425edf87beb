import { FaasError } from "../../../contract/errors.ts";
import { type ClusterApi, ClusterRefusal } from "./cluster-api.ts";
import type { WatchedResource } from "./kubernetes-settings.ts";
import type { ChangeVerb, ClusterObject } from "./object-event.ts";

const PAGE_SIZE = 500;
/** The API server ends a watch after so long; one that is silent for longer is dead. */
const WATCH_SECONDS = 240;
const SILENCE_MS = (WATCH_SECONDS + 30) * 1_000;
/** Objects that are remembered, to tell later what is gone. */
const MAX_KNOWN = 50_000;

export interface ObjectChange {
  readonly verb: ChangeVerb;
  readonly object: ClusterObject;
}

export interface ResourceWatchOptions {
  readonly api: ClusterApi;
  readonly resource: WatchedResource;
  /** Of those that are watched where none is named. */
  readonly namespace: string;
  readonly skipFirst: boolean;
  /** Resource version that was reached before, and when. */
  readonly reached: { readonly version: string; readonly at: number } | undefined;
  /** Resolves once they are stored. */
  readonly emit: (changes: readonly ObjectChange[], plural: string) => Promise<void>;
  /** All up to this version is stored. */
  readonly reach: (version: string) => void;
  readonly connected: () => void;
}

interface Page {
  readonly metadata?: { readonly continue?: string; readonly resourceVersion?: string };
  readonly items?: readonly ClusterObject[];
}

interface WatchLine {
  readonly type?: string;
  readonly object?: ClusterObject & { readonly code?: number; readonly message?: string };
}

const VERBS: Readonly<Record<string, ChangeVerb>> = { ADDED: "add", MODIFIED: "update", DELETED: "delete" };

/** Follows the objects of one kind. */
export class ResourceWatch {
  readonly #options: ResourceWatchOptions;
  /** By uid: those that were seen. */
  readonly #known = new Map<string, ClusterObject>();
  #version: string | undefined;
  #since: ResourceWatchOptions["reached"];
  #path: { readonly collection: string; readonly plural: string } | undefined;

  constructor(options: ResourceWatchOptions) {
    this.#options = options;
    this.#version = options.reached?.version;
    this.#since = options.reached;
  }

  /** Watches until the API server ends the watch. @throws what it refuses */
  async once(signal: AbortSignal): Promise<void> {
    this.#path ??= await this.#find(signal);
    const isResumed = this.#version !== undefined;
    try {
      this.#version ??= await this.#listAll(this.#path, signal);
      await this.#follow(this.#path, this.#version, signal);
    } catch (error) {
      // Too old to be known, or of an API server that was set up anew; of what was just listed it means something else.
      const isExpired = error instanceof ClusterRefusal && (error.status === 410 || error.status === 400);
      if (isExpired) this.#version = undefined;
      if (!isExpired || !isResumed) throw error;
    }
  }

  async #find(signal: AbortSignal) {
    const { api, resource, namespace } = this.#options;
    const { apiVersion, kind } = resource;
    const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const { resources = [] } = await api.get<{ resources?: { name: string; kind: string; namespaced: boolean }[] }>(
      root,
      {},
      signal,
    );
    const found = resources.find((each) => each.kind === kind && !each.name.includes("/"));
    if (!found) throw new FaasError("notFound", `the cluster has no ${kind} of ${apiVersion}`);
    const inOne = found.namespaced && resource.namespace !== "*";
    const where = inOne ? `/namespaces/${resource.namespace ?? namespace}` : "";
    return { collection: `${root}${where}/${found.name}`, plural: found.name };
  }

  async #listAll({ collection, plural }: { collection: string; plural: string }, signal: AbortSignal): Promise<string> {
    const { api, resource, emit, reach, skipFirst } = this.#options;
    const isFirst = this.#since === undefined && this.#known.size === 0;
    const seen = new Set<string>();
    let next: string | undefined;
    for (;;) {
      const query = { limit: PAGE_SIZE, labelSelector: resource.labelSelector, continue: next };
      const page: Page = await api.get<Page>(collection, query, signal);
      const items = page.items ?? [];
      const changes = isFirst && skipFirst ? [] : items.flatMap((object) => this.#changeOf(object) ?? []);
      if (changes.length > 0) await emit(changes, plural);
      for (const object of items) {
        seen.add(uidOf(object));
        this.#remember(object);
      }
      next = page.metadata?.continue || undefined;
      if (next !== undefined) continue;
      const gone = [...this.#known.values()].filter((object) => !seen.has(uidOf(object)));
      if (gone.length > 0)
        await emit(
          gone.map((object) => ({ verb: "delete", object })),
          plural,
        );
      for (const object of gone) this.#known.delete(uidOf(object));
      const version = page.metadata?.resourceVersion ?? "";
      reach(version);
      this.#since = { version, at: Date.now() };
      return version;
    }
  }

  /** What has become of an object since it was seen, or since the version that was reached. */
  #changeOf(object: ClusterObject): ObjectChange | undefined {
    const known = this.#known.get(uidOf(object));
    const version = object.metadata?.resourceVersion;
    if (known) return known.metadata?.resourceVersion === version ? undefined : { verb: "update", object };
    const since = this.#since;
    if (!since) return { verb: "add", object };
    if (!isLater(version, since.version)) return undefined;
    const created = Date.parse(object.metadata?.creationTimestamp ?? "");
    return { verb: created < since.at - CLOCKS_MS ? "update" : "add", object };
  }

  async #follow(
    { collection, plural }: { collection: string; plural: string },
    from: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { api, resource, emit, reach, connected } = this.#options;
    const query = {
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: from,
      labelSelector: resource.labelSelector,
      timeoutSeconds: WATCH_SECONDS,
    };
    connected();
    for await (const lines of api.lines(collection, query, signal, SILENCE_MS)) {
      const changes: ObjectChange[] = [];
      let version: string | undefined;
      let refusal: ClusterRefusal | undefined;
      for (const line of lines as readonly WatchLine[]) {
        const { type = "", object = {} } = line;
        if (type === "ERROR") {
          refusal = new ClusterRefusal(
            object.code ?? 500,
            `the watch of ${collection} has ended: ${object.message ?? ""}`,
          );
          break;
        }
        version = object.metadata?.resourceVersion ?? version;
        const verb = VERBS[type];
        if (verb) changes.push({ verb, object });
      }
      if (changes.length > 0) await emit(changes, plural);
      for (const { verb, object } of changes) {
        if (verb === "delete") this.#known.delete(uidOf(object));
        else this.#remember(object);
      }
      if (version !== undefined) {
        this.#version = version;
        this.#since = { version, at: Date.now() };
        reach(version);
      }
      if (refusal) throw refusal;
    }
  }

  /** Without what it is like: only who it is, should it be gone one day. */
  #remember({ apiVersion, kind, metadata = {} }: ClusterObject): void {
    const { name, namespace, uid, resourceVersion } = metadata;
    if (uid === undefined || (this.#known.size >= MAX_KNOWN && !this.#known.has(uid))) return;
    this.#known.set(uid, {
      ...(apiVersion !== undefined && { apiVersion }),
      ...(kind !== undefined && { kind }),
      metadata: {
        uid,
        ...(name !== undefined && { name }),
        ...(namespace !== undefined && { namespace }),
        ...(resourceVersion !== undefined && { resourceVersion }),
      },
    });
  }
}

/** By how much the clocks of the cluster and ours may differ. */
const CLOCKS_MS = 60_000;

function uidOf({ metadata }: ClusterObject): string {
  return metadata?.uid ?? "";
}

/** Versions are numbers in all API servers that there are; of others nobody can tell, so that each counts as later. */
function isLater(version: string | undefined, than: string): boolean {
  if (version === undefined || !/^\d+$/.test(version) || !/^\d+$/.test(than)) return true;
  return BigInt(version) > BigInt(than);
}
