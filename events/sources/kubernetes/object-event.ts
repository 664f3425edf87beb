import type { CloudEvent } from "../../codec/cloud-event.ts";

/** What all objects have. */
export interface ClusterObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly creationTimestamp?: string;
  };
}

export type ChangeVerb = "add" | "update" | "delete";

export interface ObjectEventOptions {
  readonly server: string;
  readonly apiVersion: string;
  readonly kind: string;
  /** Of the kind, as it is in paths. */
  readonly plural: string;
  /** The whole object, instead of a reference to it. */
  readonly whole: boolean;
}

/** The event of a change, as Knative's ApiServerSource makes it; seen twice it has the same id. */
export function objectEvent(verb: ChangeVerb, object: ClusterObject, options: ObjectEventOptions): CloudEvent {
  const { server, apiVersion, kind, plural, whole } = options;
  const { name = "", namespace, uid = "", resourceVersion = "" } = object.metadata ?? {};
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const reference = { apiVersion, kind, name, ...(namespace !== undefined && { namespace }) };
  // Objects of a list do not say what they are.
  const data = whole ? { apiVersion, kind, ...object } : reference;
  return {
    attributes: {
      specversion: "1.0",
      id: `${uid}/${resourceVersion}/${verb}`,
      source: server,
      type: `dev.knative.apiserver.${whole ? "resource" : "ref"}.${verb}`,
      subject: `${root}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${plural}/${name}`,
      datacontenttype: "application/json",
      apiversion: apiVersion,
      kind,
      name,
      ...(namespace !== undefined && { namespace }),
    },
    data: Buffer.from(JSON.stringify(data)),
  };
}
