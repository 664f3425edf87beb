import { expired } from "./status.ts";
import type { KubeObject, ObjectKey } from "./types.ts";

export interface StoreEvent {
  readonly revision: number;
  /** As `pods` or `deployments.apps`. */
  readonly resource: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  /** After the change; a deleted object with the revision of its deletion. */
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
}

export type StoreListener = (event: StoreEvent) => void;

interface Table {
  readonly objects: Map<string, KubeObject>;
  /** Oldest first. */
  log: StoreEvent[];
  /** Latest revision that nobody can resume from any more. */
  trimmedAt: number;
  /** All objects by key, until something is added or removed. */
  sortedKeys: string[] | undefined;
}

export interface StoreOptions {
  /** Changes of each resource that can be looked back at. */
  readonly eventWindow?: number;
}

function keyOf({ namespace, name }: ObjectKey): string {
  return `${namespace}/${name}`;
}

export function objectKey({ metadata }: KubeObject): ObjectKey {
  return { namespace: metadata.namespace ?? "", name: metadata.name };
}

/**
 * All objects with their history over a bounded window: what etcd is to an API server. Every change has a revision of its
 * own. It knows nothing of what objects mean.
 */
export class Store {
  readonly #tables = new Map<string, Table>();
  readonly #owned = new Map<string, Map<string, KubeObject>>();
  readonly #labelled = new Map<string, Map<string, KubeObject>>();
  readonly #byUid = new Map<string, { readonly resource: string; readonly key: ObjectKey }>();
  readonly #listeners = new Set<StoreListener>();
  readonly #eventWindow: number;
  #revision = 1;
  #compactedAt = 0;

  constructor({ eventWindow = 20_000 }: StoreOptions = {}) {
    this.#eventWindow = eventWindow;
  }

  get revision(): number {
    return this.#revision;
  }

  get(resource: string, key: ObjectKey): KubeObject | undefined {
    return this.#table(resource).objects.get(keyOf(key));
  }

  /** Sorted by namespace and name. @param namespace "" for all */
  list(resource: string, namespace = ""): KubeObject[] {
    const table = this.#table(resource);
    table.sortedKeys ??= [...table.objects.keys()].sort();
    const prefix = `${namespace}/`;
    const keys = namespace === "" ? table.sortedKeys : table.sortedKeys.filter((key) => key.startsWith(prefix));
    return keys.map((key) => table.objects.get(key) as KubeObject);
  }

  /**
   * The list as it was.
   * @throws {ApiError} expired when the revision is too old
   */
  listAt(resource: string, namespace: string, revision: number): KubeObject[] {
    if (revision === this.#revision) return this.list(resource, namespace);
    const undone = new Map<string, KubeObject | undefined>();
    const events = this.eventsSince(resource, revision);
    for (const event of events.reverse()) undone.set(keyOf(objectKey(event.object)), event.previous);
    const prefix = namespace === "" ? "" : `${namespace}/`;
    const keys = new Set([...this.#table(resource).objects.keys(), ...undone.keys()]);
    const objects = [...keys]
      .filter((key) => key.startsWith(prefix))
      .sort()
      .map((key) => (undone.has(key) ? undone.get(key) : this.#table(resource).objects.get(key)));
    return objects.filter((object) => object !== undefined);
  }

  /**
   * What happened to a resource after a revision, oldest first.
   * @throws {ApiError} expired when that is no longer known
   */
  eventsSince(resource: string, revision: number): StoreEvent[] {
    const { log, trimmedAt } = this.#table(resource);
    const oldest = Math.max(trimmedAt, this.#compactedAt);
    if (revision < oldest) throw expired(`too old resource version: ${revision} (${oldest})`);
    const first = log.findLastIndex((event) => event.revision <= revision) + 1;
    return log.slice(first);
  }

  /** Objects of a resource that name `uid` among their owners. */
  ownedBy(uid: string, resource: string): KubeObject[] {
    return [...(this.#owned.get(`${resource} ${uid}`)?.values() ?? [])];
  }

  /** Objects of any resource that name `uid` among their owners, each with its resource. */
  dependents(uid: string): { readonly resource: string; readonly object: KubeObject }[] {
    return [...this.#tables.keys()].flatMap((resource) =>
      this.ownedBy(uid, resource).map((object) => ({ resource, object })),
    );
  }

  /** Objects with a label, which may have to be filtered further. */
  labelled(resource: string, namespace: string, label: string, value: string): KubeObject[] {
    return [...(this.#labelled.get(`${resource} ${namespace} ${label}=${value}`)?.values() ?? [])];
  }

  /** Where the object with this uid is, if it still is. */
  whereIs(uid: string): { readonly resource: string; readonly key: ObjectKey } | undefined {
    return this.#byUid.get(uid);
  }

  get resources(): string[] {
    return [...this.#tables.keys()];
  }

  /** Writes an object, new or not, and gives it the next revision. */
  put(resource: string, object: KubeObject): KubeObject {
    const table = this.#table(resource);
    const key = keyOf(objectKey(object));
    const previous = table.objects.get(key);
    const stored = this.#revised(object);
    if (previous === undefined) table.sortedKeys = undefined;
    else this.#unindex(resource, key, previous);
    table.objects.set(key, stored);
    this.#byUid.set(stored.metadata.uid, { resource, key: objectKey(stored) });
    this.#index(resource, key, stored);
    this.#publish(table, { resource, type: previous === undefined ? "ADDED" : "MODIFIED", object: stored, previous });
    return stored;
  }

  /** Removes an object; the result carries the revision of that. */
  remove(resource: string, key: ObjectKey): KubeObject | undefined {
    const table = this.#table(resource);
    const previous = table.objects.get(keyOf(key));
    if (previous === undefined) return undefined;
    const removed = this.#revised(previous);
    table.objects.delete(keyOf(key));
    table.sortedKeys = undefined;
    this.#byUid.delete(previous.metadata.uid);
    this.#unindex(resource, keyOf(key), previous);
    this.#publish(table, { resource, type: "DELETED", object: removed, previous });
    return removed;
  }

  /** Called within each write, in order; a listener must not write itself. Returns the way to end it. */
  subscribe(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets all history, as etcd does every few minutes: nothing older than now can be resumed from. */
  compact(): void {
    // Without a revision of its own somebody who is up to date would not notice.
    this.#revision += 1;
    this.#compactedAt = this.#revision;
    for (const table of this.#tables.values()) table.log = [];
  }

  #table(resource: string): Table {
    let table = this.#tables.get(resource);
    if (table === undefined) {
      table = { objects: new Map(), log: [], trimmedAt: 0, sortedKeys: undefined };
      this.#tables.set(resource, table);
    }
    return table;
  }

  #revised(object: KubeObject): KubeObject {
    this.#revision += 1;
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#revision) } };
  }

  #publish(table: Table, event: Omit<StoreEvent, "revision">): void {
    const whole = { ...event, revision: this.#revision };
    table.log.push(whole);
    if (table.log.length > this.#eventWindow) {
      const half = table.log.length >> 1;
      table.trimmedAt = (table.log[half - 1] as StoreEvent).revision;
      table.log = table.log.slice(half);
    }
    for (const listener of this.#listeners) listener(whole);
  }

  #index(resource: string, key: string, object: KubeObject): void {
    for (const entry of this.#indexes(resource, object)) {
      let group = entry.index.get(entry.under);
      if (group === undefined) {
        group = new Map();
        entry.index.set(entry.under, group);
      }
      group.set(key, object);
    }
  }

  #unindex(resource: string, key: string, object: KubeObject): void {
    for (const { index, under } of this.#indexes(resource, object)) {
      const group = index.get(under);
      group?.delete(key);
      if (group?.size === 0) index.delete(under);
    }
  }

  #indexes(resource: string, { metadata }: KubeObject) {
    const namespace = metadata.namespace ?? "";
    return [
      ...(metadata.ownerReferences ?? []).map(({ uid }) => ({ index: this.#owned, under: `${resource} ${uid}` })),
      ...Object.entries(metadata.labels ?? {}).map(([label, value]) => ({
        index: this.#labelled,
        under: `${resource} ${namespace} ${label}=${value}`,
      })),
    ];
  }
}
