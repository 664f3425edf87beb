import type { FunctionRef, FunctionStatus } from "../../../../contract/functions.ts";
import { parseQuantity } from "../../quantity.ts";
import { hasStatus } from "../client/api-error.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import { apiPath } from "../client/paths.ts";
import { FUNCTION_LABEL } from "../resources/names.ts";
import { objectName } from "../resources/version-unit.ts";

interface PodMetricsList {
  readonly items?: readonly {
    readonly containers?: readonly { readonly usage?: { readonly cpu?: string; readonly memory?: string } }[];
  }[];
}

/** What metrics-server measured, summed over the pods; undefined where there is no metrics-server. */
export async function readPodUsage(
  client: Pick<KubernetesClient, "get">,
  { name, namespace }: FunctionRef,
): Promise<FunctionStatus["usage"]> {
  try {
    const query = { labelSelector: `${FUNCTION_LABEL}=${objectName(name)}` };
    const { items = [] } = await client.get<PodMetricsList>(apiPath.podMetrics(namespace), query);
    const used = items.flatMap(({ containers = [] }) => containers.map(({ usage }) => usage ?? {}));
    const sum = (field: "cpu" | "memory") =>
      used.reduce((total, usage) => total + (parseQuantity(usage[field] ?? "0") ?? 0), 0);
    return { cpu: Math.round(sum("cpu") * 1000), totalMemoryBytes: Math.round(sum("memory")) };
  } catch (error) {
    // Not installed, or not for us: the status is shown without.
    if (hasStatus(error, 404) || hasStatus(error, 403) || hasStatus(error, 503)) return undefined;
    throw error;
  }
}
