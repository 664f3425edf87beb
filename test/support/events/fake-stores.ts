import { FaasError } from "../../../contract/errors.ts";
import type { Appended, EventStore, NewEvent } from "../../../events/store/event-store.ts";
import type {
  EventResource,
  EventResourceName,
  ResourceKind,
  ResourceStore,
} from "../../../events/store/resource-store.ts";

const keyOf = ({ kind, namespace, name }: EventResourceName) => `${kind}/${namespace}/${name}`;

/** Documents in memory, for tests of what stands above them. */
export class FakeResources implements ResourceStore {
  readonly documents = new Map<string, EventResource>();
  /** Set to have everything fail until it is unset. */
  failing: Error | undefined;
  readonly #watchers = new Set<{ readonly kind: ResourceKind; readonly onChange: () => void }>();
  #version = 0;

  async list(kind: ResourceKind, namespace?: string) {
    if (this.failing) throw this.failing;
    return [...this.documents.values()].filter(
      (document) => document.kind === kind && (namespace === undefined || document.namespace === namespace),
    );
  }

  async get(name: EventResourceName) {
    if (this.failing) throw this.failing;
    return this.documents.get(keyOf(name));
  }

  async put(resource: Omit<EventResource, "version">, expected?: number) {
    if (this.failing) throw this.failing;
    const version = this.documents.get(keyOf(resource))?.version ?? 0;
    if (expected !== undefined && expected !== version) throw new FaasError("conflict", "another version is there");
    const { kind, namespace, name, spec, origin } = resource;
    this.documents.set(keyOf(resource), {
      kind,
      namespace,
      name,
      spec: structuredClone(spec),
      version: ++this.#version,
      ...(origin && { origin }),
    });
    this.#tell(kind);
    return this.#version;
  }

  async remove(name: EventResourceName) {
    if (this.failing) throw this.failing;
    const removed = this.documents.delete(keyOf(name));
    if (removed) this.#tell(name.kind);
    return removed;
  }

  watch(kind: ResourceKind, onChange: () => void) {
    const watcher = { kind, onChange };
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  #tell(kind: ResourceKind) {
    for (const watcher of this.#watchers) if (watcher.kind === kind) watcher.onChange();
  }
}

/** Takes events and keeps them in a list. */
export class FakeLog implements Pick<EventStore, "append" | "find"> {
  readonly appended: NewEvent[] = [];
  failing: Error | undefined;
  /** Those that are too large for it. */
  refuse: (event: NewEvent["event"]) => boolean = () => false;
  /** Events that it was asked to take, duplicates included. */
  asked = 0;
  readonly #refs = new Map<string, string>();

  async append(events: readonly NewEvent[]): Promise<readonly Appended[]> {
    if (this.failing) throw this.failing;
    if (events.some(({ event }) => this.refuse(event))) throw new FaasError("tooLarge", "the event is too large");
    this.asked += events.length;
    return events.map((event) => {
      const seen = event.once === undefined ? undefined : this.#refs.get(event.once);
      if (seen !== undefined) return { ref: seen, duplicate: true };
      const ref = String(this.appended.push(event));
      if (event.once !== undefined) this.#refs.set(event.once, ref);
      return { ref, duplicate: false };
    });
  }

  async find() {
    return undefined;
  }
}
