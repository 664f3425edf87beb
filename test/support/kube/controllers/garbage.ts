import type { Api } from "../api.ts";
import { removeFinalizer } from "../delete.ts";
import { objectKey, type StoreEvent } from "../store.ts";
import type { KubeObject } from "../types.ts";
import type { Controller } from "./controller.ts";
import { Reconciler } from "./reconciler.ts";

const FOREGROUND = "foregroundDeletion";

/** Deletes what has lost all its owners, and owners that were to go last. */
export class GarbageCollector implements Controller {
  readonly name = "garbage-collector";
  readonly #api: Api;
  readonly #dependents = new Reconciler((uid) => this.#collect(uid));
  readonly #owners = new Reconciler((uid) => this.#finish(uid));

  constructor(api: Api) {
    this.#api = api;
  }

  handle({ object, type }: StoreEvent): void {
    const { uid, ownerReferences = [], deletionTimestamp, finalizers } = object.metadata;
    if (type === "DELETED") {
      this.#dependents.enqueue(uid);
      for (const owner of ownerReferences) this.#owners.enqueue(owner.uid);
    } else if (type === "ADDED") {
      // Whoever made it may not have seen that the owner is gone.
      for (const owner of ownerReferences) {
        if (this.#api.store.whereIs(owner.uid) === undefined) this.#dependents.enqueue(owner.uid);
      }
    }
    if (deletionTimestamp !== undefined && finalizers?.includes(FOREGROUND)) this.#owners.enqueue(uid);
  }

  close(): void {
    this.#dependents.close();
    this.#owners.close();
  }

  #collect(ownerUid: string): void {
    if (this.#api.store.whereIs(ownerUid) !== undefined) return;
    for (const { resource, object } of this.#api.store.dependents(ownerUid)) {
      const others = (object.metadata.ownerReferences ?? []).filter(
        ({ uid }) => this.#api.store.whereIs(uid) !== undefined,
      );
      if (others.length === 0) this.#delete(resource, object, "Background");
    }
  }

  #finish(uid: string): void {
    const place = this.#api.store.whereIs(uid);
    if (place === undefined) return;
    const owner = this.#api.store.get(place.resource, place.key) as KubeObject;
    if (!owner.metadata.finalizers?.includes(FOREGROUND) || owner.metadata.deletionTimestamp === undefined) return;
    const dependents = this.#api.store.dependents(uid);
    for (const { resource, object } of dependents) this.#delete(resource, object, "Foreground");
    if (this.#api.store.dependents(uid).length === 0) {
      removeFinalizer(this.#api, this.#api.resources.byKey(place.resource), owner, FOREGROUND);
    }
  }

  #delete(resource: string, object: KubeObject, propagation: "Background" | "Foreground"): void {
    if (object.metadata.deletionTimestamp !== undefined) return;
    const isLeaf = this.#api.store.dependents(object.metadata.uid).length === 0;
    this.#api.delete(this.#api.resources.byKey(resource), objectKey(object), {
      uid: object.metadata.uid,
      resourceVersion: undefined,
      gracePeriodSeconds: undefined,
      propagation: isLeaf ? "Background" : propagation,
      dryRun: false,
    });
  }
}
