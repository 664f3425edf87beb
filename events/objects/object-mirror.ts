import type { EventObject, EventObjectsEvent, KnownKinds } from "../../contract/events/event-object.ts";

type Ref = Pick<EventObject, "kind" | "namespace" | "name">;

/** `trigger/shop/orders` */
export function declaredKey({ kind, namespace, name }: Ref): string {
  return `${kind}/${namespace}/${name}`;
}

/** The objects of the cluster, as streams tell of them one after another. What is known holds until a new one has told all. */
export class ObjectMirror {
  #objects = new Map<string, EventObject>();
  #kinds: KnownKinds | undefined;
  /** What the stream has told that has not told all yet. */
  #next: Map<string, EventObject> | undefined;

  get objects(): Iterable<EventObject> {
    return this.#objects.values();
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Of what kinds `objects` is all; undefined before the first stream has told. */
  get kinds(): KnownKinds | undefined {
    return this.#kinds;
  }

  find(ref: Ref): EventObject | undefined {
    return this.#objects.get(declaredKey(ref));
  }

  /** A stream begins. */
  begin(): void {
    this.#next = new Map();
  }

  apply(event: EventObjectsEvent): void {
    const target = this.#next ?? this.#objects;
    if (event.type === "object") target.set(declaredKey(event.object), event.object);
    if (event.type === "removed") this.#remove(target, event.object);
    if (event.type !== "kinds") return;
    if (this.#next) this.#objects = this.#next;
    this.#next = undefined;
    this.#kinds = event.kinds;
  }

  #remove(target: Map<string, EventObject>, ref: Ref & { readonly uid: string }): void {
    const key = declaredKey(ref);
    // Another one of that name may be there by now.
    if (target.get(key)?.uid === ref.uid) target.delete(key);
  }
}
