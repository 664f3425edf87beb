import type { FunctionDeployment, FunctionStatus } from "../../contract/functions.ts";
import { CliError } from "../errors.ts";

/** Which variables count: those of the stack file, those of the gateway, or both. */
export const ENV_SIDES = ["local", "remote", "all"] as const;
export type EnvSide = (typeof ENV_SIDES)[number];

/** One thing that differs. A side that has it not is undefined. */
export interface Difference {
  readonly field: string;
  readonly local: string | undefined;
  readonly remote: string | undefined;
}

/** @throws {CliError} for any other */
export function parseEnvSide(text: string): EnvSide {
  const side = ENV_SIDES.find((known) => known === text);
  if (!side) throw new CliError(`--env must be one of ${ENV_SIDES.join(", ")}, not ${JSON.stringify(text)}`);
  return side;
}

/** What platforms add to every function. */
const ADDED = new Set(["faas_function", "uid", "com.openfaas.uid", "prometheus.io.scrape", "prometheus.io/scrape"]);

/** What a deploy would change of a function. */
export function compareFunction(local: FunctionDeployment, remote: FunctionStatus, env: EnvSide): Difference[] {
  const process = { local: local.envProcess, remote: local.envProcess === undefined ? undefined : remote.envProcess };
  const fields: [field: string, local: string | undefined, remote: string | undefined][] = [
    ["image", local.image, remote.image],
    ["fprocess", process.local, process.remote],
    [
      "readonly_root_filesystem",
      String(local.readOnlyRootFilesystem ?? false),
      String(remote.readOnlyRootFilesystem ?? false),
    ],
    ["limits.memory", local.limits?.memory, remote.limits?.memory],
    ["limits.cpu", local.limits?.cpu, remote.limits?.cpu],
    ["requests.memory", local.requests?.memory, remote.requests?.memory],
    ["requests.cpu", local.requests?.cpu, remote.requests?.cpu],
    ["secrets", list(local.secrets), list(remote.secrets)],
    ["constraints", list(local.constraints), list(remote.constraints)],
    ...compareMaps("environment", local.envVars, remote.envVars).filter(
      ([, ours, theirs]) => env === "all" || (env === "local" ? ours !== undefined : theirs !== undefined),
    ),
    ...compareMaps("labels", local.labels, remote.labels),
    ...compareMaps("annotations", local.annotations, remote.annotations),
  ];
  return fields
    .filter(([, ours, theirs]) => (ours || undefined) !== (theirs || undefined))
    .map(([field, ours, theirs]) => ({ field, local: ours || undefined, remote: theirs || undefined }));
}

type Values = Readonly<Record<string, string>> | undefined;

function compareMaps(title: string, local: Values = {}, remote: Values = {}) {
  const keys = [...new Set([...Object.keys(local), ...Object.keys(remote)])].sort();
  return keys
    .filter((key) => Object.hasOwn(local, key) || !ADDED.has(key))
    .map((key): [string, string | undefined, string | undefined] => [
      `${title}.${key}`,
      Object.hasOwn(local, key) ? local[key] : undefined,
      Object.hasOwn(remote, key) ? remote[key] : undefined,
    ]);
}

function list(values: readonly string[] = []): string {
  return [...values].sort().join(", ");
}
