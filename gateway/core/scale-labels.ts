/** Replicas to start when a call finds a function at zero: `com.openfaas.scale.min`, at least 1. */
export function wakeReplicas(labels: Readonly<Record<string, string>>): number {
  const min = Number(labels["com.openfaas.scale.min"]);
  return Number.isSafeInteger(min) && min > 1 ? min : 1;
}
