import type { Api } from "../api.ts";
import { objectKey, type StoreEvent } from "../store.ts";
import type { Controller } from "./controller.ts";
import { Reconciler } from "./reconciler.ts";

/** Empties namespaces that are being deleted, and then lets them go. */
export class NamespaceController implements Controller {
  readonly name = "namespace-controller";
  readonly #api: Api;
  readonly #queue = new Reconciler((name) => this.#reconcile(name));

  constructor(api: Api) {
    this.#api = api;
  }

  handle({ resource, object, type }: StoreEvent): void {
    if (type === "DELETED" && object.metadata.namespace !== undefined) this.#queue.enqueue(object.metadata.namespace);
    if (resource === "namespaces" && object.metadata.deletionTimestamp !== undefined)
      this.#queue.enqueue(object.metadata.name);
  }

  close(): void {
    this.#queue.close();
  }

  #reconcile(name: string): void {
    const key = { namespace: "", name };
    const namespace = this.#api.store.get("namespaces", key);
    if (namespace?.metadata.deletionTimestamp === undefined) return;
    const namespaced = new Set(this.#api.resources.all.filter((r) => r.namespaced).map((r) => r.key));
    let left = 0;
    for (const resource of namespaced) {
      for (const object of this.#api.store.list(resource, name)) {
        const { gone } = object.metadata.deletionTimestamp
          ? { gone: false }
          : this.#api.delete(this.#api.resources.byKey(resource), objectKey(object), {
              uid: object.metadata.uid,
              resourceVersion: undefined,
              gracePeriodSeconds: undefined,
              propagation: "Background",
              dryRun: false,
            });
        if (!gone) left += 1;
      }
    }
    const blocked = namespace.metadata.finalizers ?? [];
    if (left === 0 && blocked.length === 0) this.#api.store.remove("namespaces", key);
  }
}
