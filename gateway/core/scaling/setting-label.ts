/** Names that OpenFaaS has; all others are ours. */
const OPENFAAS = new Set(["type", "target", "target-proportion", "min", "max", "zero", "zero-duration", "factor"]);

/** The label that a short name means: `target` is `com.openfaas.scale.target`. Whole names stay as they are. */
export function labelOf(name: string): string {
  if (name.startsWith("com.")) return name;
  if (name === "queue.size") return "com.faaslane.queue.size";
  if (OPENFAAS.has(name) || name === "down.window") return `com.openfaas.scale.${name}`;
  return `com.faaslane.scale.${name}`;
}
