import type { V1OwnerReference, V1Service } from "@kubernetes/client-node";
import type { ResolvedDeployment } from "../../backend.ts";
import { stamp } from "./hash.ts";
import { FUNCTION_LABEL, FUNCTION_PORT, objectAnnotations, objectLabels } from "./names.ts";

/** The Service of a function: its name in the cluster's DNS, and what makes EndpointSlices. */
export function buildService(
  { service: name, namespace, annotations }: ResolvedDeployment,
  owner?: V1OwnerReference,
): V1Service {
  return stamp<V1Service>({
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name,
      namespace,
      labels: objectLabels(name),
      annotations: objectAnnotations(annotations),
      ...(owner && { ownerReferences: [owner] }),
    },
    spec: {
      type: "ClusterIP",
      selector: { [FUNCTION_LABEL]: name },
      ports: [{ name: "http", port: FUNCTION_PORT, targetPort: FUNCTION_PORT, protocol: "TCP" }],
    },
  });
}
