import type { ListedFunction } from "../../contract/listed-function.ts";
import { readMaxInflight } from "../../contract/max-inflight.ts";
import { readTimeouts } from "../../contract/timeouts.ts";
import type { KnownFunction } from "../core/known-function.ts";

/**
 * @param namespace of functions that do not name theirs
 */
export function buildKnownFunction(listed: ListedFunction, namespace: string): KnownFunction {
  const { name, labels = {}, annotations = {}, envVars = {}, replicas = 0, availableReplicas = 0 } = listed;
  const maxInflight = readMaxInflight(envVars);
  const timeouts = readTimeouts(envVars);
  // A provider without namespaces may not know names that have one.
  const target = listed.namespace ? `${name}.${listed.namespace}` : name;
  return {
    name,
    namespace: listed.namespace || namespace,
    labels,
    annotations,
    replicas,
    generation: 0,
    ...(maxInflight !== undefined && { maxInflight }),
    ...(timeouts && { timeouts }),
    endpoints: [],
    // Of a function that is to sleep some may still be there, on their way out.
    way: { path: `/function/${target}`, available: replicas === 0 ? 0 : availableReplicas },
  };
}
