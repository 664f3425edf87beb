import type { Credentials } from "../../kit/basic-auth.ts";
import type { Logger } from "../../kit/log.ts";
import { LoginAttempts } from "../../kit/login-attempts.ts";
import { Callers } from "../policies/callers.ts";
import { PolicyGate } from "../policies/policy-gate.ts";
import type { GatewayConfig } from "./config.ts";

/**
 * What sees to the policies of functions. Wrong passwords of functions are counted apart from those of the platform.
 * @param credentials by which queue workers are known
 */
export function openPolicyGate(
  { functionSecretsPath }: Pick<GatewayConfig, "functionSecretsPath">,
  credentials: Credentials | undefined,
  log: Logger,
): PolicyGate {
  const attempts = new LoginAttempts({ log });
  const authenticator = new Callers({ secretsFolder: functionSecretsPath, attempts, log });
  return new PolicyGate({ authenticator, credentials });
}
