import { parseScalePolicy, type ScalePolicy } from "../../contract/scale-policy.ts";
import { CliError } from "../errors.ts";

/** Names that OpenFaaS has; all others are ours. */
const OPENFAAS = new Set(["type", "target", "target-proportion", "min", "max", "zero", "zero-duration", "factor"]);

/** The label that a short name means: `target` is `com.openfaas.scale.target`. Whole names stay as they are. */
export function labelOf(name: string): string {
  if (name.startsWith("com.")) return name;
  if (name === "queue.size") return "com.faaslane.queue.size";
  if (OPENFAAS.has(name) || name === "down.window") return `com.openfaas.scale.${name}`;
  return `com.faaslane.scale.${name}`;
}

/**
 * The policy of a function that has these settings and no others.
 * @param pairs names as {@link labelOf} takes them, and values
 * @throws {CliError} with every rule that they break
 */
export function policyOf(pairs: readonly (readonly [name: string, value: string])[]): ScalePolicy {
  const labels = Object.fromEntries(pairs.map(([name, value]) => [labelOf(name), value]));
  const { policy, problems } = parseScalePolicy(labels);
  if (problems.length > 0) throw new CliError(`wrong settings: ${problems.join("; ")}`);
  return policy;
}
