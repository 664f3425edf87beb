import { isDeepStrictEqual } from "node:util";
import type { Api } from "../api.ts";
import { resourceKey } from "../resources.ts";
import { objectKey, type StoreEvent } from "../store.ts";
import { type Fields, isFields, type KubeObject } from "../types.ts";
import type { Controller } from "./controller.ts";
import { Reconciler } from "./reconciler.ts";

const DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io";

/** Makes the resources of each CustomResourceDefinition available. */
export class CustomResourceController implements Controller {
  readonly name = "crd-controller";
  readonly #api: Api;
  readonly #queue = new Reconciler((name) => this.#establish(name));

  constructor(api: Api) {
    this.#api = api;
  }

  handle({ resource, object, type }: StoreEvent): void {
    if (resource !== DEFINITIONS) return;
    if (type === "DELETED") this.#withdraw(object);
    else this.#queue.enqueue(object.metadata.name);
  }

  close(): void {
    this.#queue.close();
  }

  #establish(name: string): void {
    const definition = this.#api.store.get(DEFINITIONS, { namespace: "", name });
    if (definition === undefined) return;
    this.#api.resources.define(definition);
    const spec = definition.spec as Fields;
    const before = isFields(definition.status) ? definition.status.conditions : undefined;
    const condition = (type: string, reason: string, message: string) => ({
      type,
      status: "True",
      lastTransitionTime: Array.isArray(before) ? (before[0] as Fields).lastTransitionTime : this.#api.now(),
      reason,
      message,
    });
    const status = {
      conditions: [
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
      ],
      acceptedNames: spec.names,
      storedVersions: (spec.versions as readonly Fields[]).filter(({ storage }) => storage === true).map((v) => v.name),
    };
    if (!isDeepStrictEqual(status, definition.status)) this.#api.store.put(DEFINITIONS, { ...definition, status });
  }

  #withdraw({ metadata, spec }: KubeObject): void {
    const { group, names } = spec as { group: string; names: { plural: string } };
    // Not within the event: listeners must not write.
    queueMicrotask(() => {
      const key = resourceKey(group, names.plural);
      for (const object of this.#api.store.list(key)) this.#api.store.remove(key, objectKey(object));
      this.#api.resources.undefine(metadata.name);
    });
  }
}
