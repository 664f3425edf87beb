import { FaasError } from "../../../contract/errors.ts";
import {
  type EventResource,
  type EventResourceName,
  MAX_RESOURCE_BYTES,
  type ResourceKind,
  type ResourceStore,
} from "../resource-store.ts";
import type { EventLink } from "./link.ts";
import type { WireResource } from "./protocol.ts";

/** Documents in the events' file. */
export class EmbeddedResourceStore implements ResourceStore {
  readonly #link: EventLink;
  readonly #isEmpty: boolean;
  readonly #watchers = new Map<ResourceKind, Set<() => void>>();

  /** @param isEmpty whether there is nothing stored yet */
  constructor(link: EventLink, isEmpty: boolean) {
    this.#link = link;
    this.#isEmpty = isEmpty;
  }

  get #untouched(): boolean {
    return this.#isEmpty && !this.#link.started;
  }

  async list(kind: ResourceKind, namespace?: string): Promise<readonly EventResource[]> {
    if (this.#untouched) return [];
    return (await this.#link.ask({ kind: "resources", of: kind, namespace })).map(toResource);
  }

  async get(name: EventResourceName): Promise<EventResource | undefined> {
    if (this.#untouched) return undefined;
    const found = await this.#link.ask({ kind: "resource", name: nameOf(name) });
    return found && toResource(found);
  }

  async put(resource: Omit<EventResource, "version">, expected?: number): Promise<number> {
    const spec = JSON.stringify(resource.spec);
    if (spec === undefined) throw new FaasError("invalid", "spec: must be JSON");
    const bytes = Buffer.byteLength(spec);
    if (bytes > MAX_RESOURCE_BYTES) {
      throw new FaasError("tooLarge", `spec: has at most ${MAX_RESOURCE_BYTES} bytes as JSON, not ${bytes}`);
    }
    const version = await this.#link.ask({
      kind: "put",
      name: nameOf(resource),
      spec,
      expected,
      origin: resource.origin,
    });
    this.#tell(resource.kind);
    return version;
  }

  async remove(name: EventResourceName): Promise<boolean> {
    if (this.#untouched) return false;
    const removed = await this.#link.ask({ kind: "remove", name: nameOf(name) });
    if (removed) this.#tell(name.kind);
    return removed;
  }

  watch(kind: ResourceKind, onChange: () => void): () => void {
    const watchers = this.#watchers.get(kind) ?? new Set();
    this.#watchers.set(kind, watchers);
    // The same function may watch twice.
    const watcher = () => onChange();
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }

  #tell(kind: ResourceKind): void {
    for (const watcher of this.#watchers.get(kind) ?? []) queueMicrotask(watcher);
  }
}

function nameOf({ kind, namespace, name }: EventResourceName): EventResourceName {
  return { kind, namespace, name };
}

function toResource({ kind, namespace, name, version, spec, origin }: WireResource): EventResource {
  return { kind, namespace, name, version, spec: JSON.parse(spec) as unknown, ...(origin && { origin }) };
}
