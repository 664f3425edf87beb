import { qualifiedName } from "../../contract/functions.ts";
import { type Credentials, checkLogin } from "../../kit/basic-auth.ts";
import type { Logger } from "../../kit/log.ts";
import type { LoginAttempts } from "../../kit/login-attempts.ts";
import { CallbackTargets } from "../../kit/outbound/targets.ts";
import { VersionHolds } from "../async/intake/version-holds.ts";
import type { PathPrefix } from "../core/path-prefix.ts";
import type { ApiQueue } from "../metrics/queue-meter.ts";
import type { PolicyGate } from "../policies/policy-gate.ts";
import type { ProviderClient } from "../provider-client.ts";
import type { FunctionProxy } from "../proxy/function-proxy.ts";
import type { FunctionTable } from "../proxy/function-table.ts";
import { AsyncIntake } from "../routes/async-intake.ts";
import { CallRoutes } from "../routes/call-routes.ts";
import type { CallObserver } from "../telemetry/call-record.ts";
import type { GatewayConfig } from "./config.ts";

export interface AsyncDeps {
  readonly gate: PolicyGate;
  readonly config: GatewayConfig;
  readonly table: FunctionTable;
  readonly proxy: FunctionProxy;
  readonly provider: Pick<ProviderClient, "holdVersion">;
  readonly pathPrefix: PathPrefix;
  readonly observer: CallObserver | undefined;
  readonly credentials: Credentials | undefined;
  readonly attempts: LoginAttempts;
  readonly log: Logger;
}

/** What takes asynchronous calls, and tells of them. */
export function openAsync(queue: ApiQueue, deps: AsyncDeps) {
  const { gate, config, table, proxy, provider, pathPrefix, observer, credentials, attempts, log } = deps;
  const targets = new CallbackTargets(config.async.callbackTargets);
  const holds = new VersionHolds({
    hold: (ref, version, until) => provider.holdVersion(ref, version, until),
    log,
  });
  const intake = new AsyncIntake({ queue, table, proxy, gate, holds, targets, pathPrefix, observer, log });
  const calls = new CallRoutes({
    queue,
    hasVersions: (ref) => table.find(qualifiedName(ref))?.versionMeters !== undefined,
    isAuthorized: (req) => checkLogin(req, credentials, attempts),
    log,
  });
  return { queue, intake, calls };
}
