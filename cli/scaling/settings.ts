import { parseScalePolicy, type ScalePolicy } from "../../contract/scale-policy.ts";
import { labelOf } from "../../gateway/core/scaling/setting-label.ts";
import { CliError } from "../errors.ts";

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
