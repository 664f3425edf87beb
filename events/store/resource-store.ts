/** Kinds of what is declared or kept by name beside events. */
export type ResourceKind =
  | "broker"
  | "trigger"
  | "source"
  | "sink"
  | "flow"
  | "run"
  | "replay"
  | "cursor"
  | "health"
  | "result";

/** The object of a cluster that has declared a document: the one of the same kind, namespace and name. */
export interface ResourceOrigin {
  readonly uid: string;
  /** Of the object, as the document has it. */
  readonly generation: number;
}

/** Something declared or kept by name. */
export interface EventResource<Spec = unknown> {
  readonly kind: ResourceKind;
  readonly namespace: string;
  /** DNS label; `run`, `result`, `cursor` and `health` may have dots besides. */
  readonly name: string;
  /** JSON, at most {@link MAX_RESOURCE_BYTES} as text. */
  readonly spec: Spec;
  /** Absent of what was declared over the API. */
  readonly origin?: ResourceOrigin;
  /** Goes up with each change; compared by {@link ResourceStore.put}. */
  readonly version: number;
}

export type EventResourceName = Pick<EventResource, "kind" | "namespace" | "name">;

export const MAX_RESOURCE_BYTES = 256 * 1024;

/** Small documents of the events' side, kept where the events are. */
export interface ResourceStore {
  /** By name; of all namespaces when that is absent. */
  list(kind: ResourceKind, namespace?: string): Promise<readonly EventResource[]>;
  get(name: EventResourceName): Promise<EventResource | undefined>;
  /**
   * @param expected the version that is there, 0 for none; absent to overwrite whatever there is
   * @returns the new version
   * @throws {FaasError} `conflict` when another version is there; `tooLarge`
   */
  put(resource: Omit<EventResource, "version">, expected?: number): Promise<number>;
  /** @returns whether it was there */
  remove(name: EventResourceName): Promise<boolean>;
  /**
   * Tells of changes, also those that other processes make. Several may be told as one; who is told lists again.
   * @returns ends it
   */
  watch(kind: ResourceKind, onChange: () => void): () => void;
}
