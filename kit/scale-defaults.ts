import { SCALE_DEFAULTS, type ScaleDefaults } from "../contract/scale-policy.ts";
import type { EnvReader } from "./env.ts";
import { integerFrom } from "./parse.ts";

/**
 * How functions are scaled that say nothing. Gateway and provider both read it, so that the provider refuses exactly the
 * labels that the gateway would not follow.
 */
export function readScaleDefaults(read: EnvReader): ScaleDefaults {
  return {
    target: read.optional("default_target", integerFrom(1)) ?? SCALE_DEFAULTS.target,
    max: read.optional("default_max_replicas", integerFrom(1)) ?? SCALE_DEFAULTS.max,
  };
}
