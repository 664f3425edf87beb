import type { Descriptor } from "../../../contract/descriptor.ts";
import { sinkVariables } from "../../../contract/events/sink-binding.ts";
import { parseVersionedName } from "../../../contract/versions/version-name.ts";
import { parseDuration } from "../../../kit/parse.ts";
import type { ResolvedDeployment } from "../backend.ts";
import type { StoredFunction } from "./definition.ts";
import { MARK_VARIABLE } from "./orphan-processes.ts";

/** Variables of the platform that a function may see. */
const INHERITED = ["PATH", "LANG", "LC_ALL", "TZ"] as const;
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface ReplicaLocation {
  /** Working copy of the artefact. */
  readonly code: string;
  readonly secrets: string;
  /** The replica's own. */
  readonly tmp: string;
  /** Tells its processes from all others, see `Strays`. */
  readonly mark: string;
}

/**
 * The whole environment of a replica. Later lines win: what the platform lends, the artefact, the deployment, and last
 * what makes replicas share a machine.
 * @param platform the platform's environment, of which only paths and locale get through
 * @param gatewayUrl where functions that send events reach the gateway, if that is known
 */
export function buildProcessEnvironment(
  platform: Readonly<Record<string, string | undefined>>,
  artefact: Readonly<Record<string, string>>,
  deployment: ResolvedDeployment,
  location: ReplicaLocation,
  gatewayUrl?: string,
): Record<string, string> {
  const { service, namespace, envProcess, envVars } = deployment;
  const lent = INHERITED.flatMap((name) => {
    const value = platform[name];
    return value === undefined || value === "" ? [] : [[name, value] as const];
  });
  return {
    PATH: DEFAULT_PATH,
    ...Object.fromEntries(lent),
    HOME: location.code,
    // Gateways learn that a replica drains before it does, so there is no probe to wait for before it stops listening.
    healthcheck_interval: "0s",
    ...artefact,
    ...(envProcess && { fprocess: envProcess }),
    ...envVars,
    ...sinkVariables(deployment, gatewayUrl),
    TMPDIR: location.tmp,
    port: "0",
    metrics_port: "0",
    bind_address: "127.0.0.1",
    OPENFAAS_NAME: parseVersionedName(service).name,
    OPENFAAS_NAMESPACE: namespace,
    FAASLANE_SECRETS_DIR: location.secrets,
    [MARK_VARIABLE]: location.mark,
  };
}

/** Programs that the function names itself: the first word of its process, and what its template needs. */
export function programsOf(
  { requires, env }: Pick<Descriptor, "requires" | "env">,
  { deployment: { envProcess, envVars } }: Pick<StoredFunction, "deployment">,
): string[] {
  const all: Record<string, string | undefined> = {
    ...env,
    ...(envProcess && { fprocess: envProcess }),
    ...envVars,
  };
  const processes = [all.fprocess, all.function_process].flatMap((text) => text?.trim().split(/\s+/)[0] ?? []);
  return [...requires, ...processes].filter((name) => name !== "");
}

const DEFAULT_WRITE_TIMEOUT_MS = 30_000;
const DEFAULT_EXEC_TIMEOUT_MS = 30_000;
/** For the watchdog to notice that it may go, and its child to obey. */
const MARGIN_MS = 3_000;

function durationOr(text: string | undefined, fallbackMs: number): number {
  try {
    return text === undefined ? fallbackMs : parseDuration(text);
  } catch {
    // Watchdogs take a malformed duration for absent, and this has to agree with them.
    return fallbackMs;
  }
}

/** Longest time a replica with this environment may take from SIGTERM to its end, in milliseconds. */
export function drainGraceMs(environment: Readonly<Record<string, string>>): number {
  const health = durationOr(environment.healthcheck_interval, 0);
  return health + durationOr(environment.write_timeout, DEFAULT_WRITE_TIMEOUT_MS) + MARGIN_MS;
}

/** Longest time a handler may keep a replica with this environment from answering anything else, in milliseconds. */
export function longestCallMs({ exec_timeout, write_timeout }: Readonly<Record<string, string>>): number {
  const exec = durationOr(exec_timeout, DEFAULT_EXEC_TIMEOUT_MS);
  return Math.max(exec, durationOr(write_timeout, DEFAULT_WRITE_TIMEOUT_MS)) + MARGIN_MS;
}
