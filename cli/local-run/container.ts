import { isFunctionName } from "../../contract/functions.ts";
import { CliError } from "../errors.ts";
import type { StackResources } from "../stack/types.ts";

/** What is worked out for one function before it runs in a container. */
export interface ContainerRequest {
  readonly name: string;
  readonly namespace: string;
  readonly image: string;
  /** All sources merged but those of `--env`. */
  readonly environment: Readonly<Record<string, string>>;
  /** `--env`. */
  readonly extra: Readonly<Record<string, string>>;
  readonly process?: string | undefined;
  readonly limits: StackResources;
  readonly readOnly: boolean;
  /** Port of this machine. */
  readonly port: number;
  readonly network?: string | undefined;
  /** Folder whose files are the secrets; absent for a function without any. */
  readonly secretsFolder?: string | undefined;
}

export interface ContainerCommand {
  readonly args: readonly string[];
  readonly warnings: readonly string[];
}

/** Tells the containers of `local-run` from others of the same name, which are not its to remove. */
export const LOCAL_RUN_LABEL = "faaslane.local-run";
const SECRETS = "/var/openfaas/secrets";
/** Less than that and engines refuse to start. */
const MIN_MEMORY_BYTES = 6 * 1024 ** 2;

/** Arguments of `docker run`, or of `podman run`, which takes the same. @throws {CliError} for limits that are none */
export function containerCommand(request: ContainerRequest): ContainerCommand {
  const { name, namespace, image, environment, extra, process, limits, readOnly, port, network } = request;
  const variables = {
    ...environment,
    ...extra,
    OPENFAAS_NAME: name,
    OPENFAAS_NAMESPACE: namespace,
    jwt_auth_local: "true",
    ...(process && { fprocess: process }),
  };
  const memory = limits.memory ? parseMemory(limits.memory) : undefined;
  const reserved = memory === undefined ? undefined : Math.max(memory, MIN_MEMORY_BYTES);
  // A stack file may be somebody else's: none of its texts is to be taken for a flag.
  if (!isFunctionName(name)) throw new CliError(`${JSON.stringify(name)} cannot name a container`);
  if (!/^[a-z0-9]/i.test(image)) throw new CliError(`image: ${JSON.stringify(image)} is no image`);
  const args = [
    ...["run", "--name", name, `--label=${LOCAL_RUN_LABEL}`, "--rm", "-i", `-p=${port}:8080`],
    ...Object.entries(variables).flatMap(([key, value]) => ["-e", `${key}=${value}`]),
    ...(request.secretsFolder ? ["-v", `${request.secretsFolder}:${SECRETS}:ro`] : []),
    ...(reserved === undefined ? [] : [`--memory-reservation=${reserved}`]),
    ...(limits.cpu ? [`--cpus=${parseCpu(limits.cpu)}`] : []),
    // The watchdog's lock file is in /tmp.
    ...(readOnly ? ["--read-only", "--tmpfs=/tmp"] : []),
    ...(network ? [`--network=${network}`] : []),
    image,
  ];
  const warnings = reserved === memory ? [] : [`limits.memory: ${limits.memory} is raised to 6 MiB`];
  return { args, warnings };
}

/** A command line as a shell takes it. */
export function shellLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}

const UNITS = ["", "K", "M", "G", "T", "P", "E"];

function parseMemory(text: string): number {
  const [, digits = "", unit = "", binary = ""] = /^(\d+(?:\.\d+)?)([kKMGTPE]?)(i?)$/.exec(text) ?? [];
  const power = UNITS.indexOf(unit.toUpperCase());
  if (digits === "" || (binary && unit === ""))
    throw new CliError(`limits.memory: ${text} is no quantity such as 128Mi`);
  return Math.round(Number(digits) * (binary ? 1024 : 1000) ** power);
}

function parseCpu(text: string): number {
  const [, digits = "", milli = ""] = /^(\d+(?:\.\d+)?)(m?)$/.exec(text) ?? [];
  if (digits === "") throw new CliError(`limits.cpu: ${text} is no quantity such as 100m or 0.5`);
  return milli ? Number(digits) / 1000 : Number(digits);
}
