import type { Api } from "../api.ts";
import type { StoreEvent } from "../store.ts";
import type { KubeObject } from "../types.ts";

/** Something that acts on what happens in the store. */
export interface Controller {
  readonly name: string;
  handle(event: StoreEvent): void;
  close(): void;
}

/** Writes down that something happened to an object, for people to read. */
export function recordEvent(
  api: Api,
  about: KubeObject,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
  component: string,
): void {
  const { namespace = "default", name, uid, resourceVersion } = about.metadata;
  const time = api.now();
  const involvedObject = { apiVersion: about.apiVersion, kind: about.kind, namespace, name, uid, resourceVersion };
  const known = api.store
    .list("events", namespace)
    .find(
      (event) =>
        event.reason === reason && event.message === message && (event.involvedObject as { uid: string }).uid === uid,
    );
  if (known !== undefined) {
    api.store.put("events", { ...known, count: (known.count as number) + 1, lastTimestamp: time });
    return;
  }
  api.insert(
    "events",
    {
      apiVersion: "v1",
      kind: "Event",
      metadata: { generateName: `${name}.`, namespace },
      involvedObject,
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: time,
      lastTimestamp: time,
      source: { component },
      reportingComponent: component,
    },
    component,
  );
}
