import { readFile } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import { FaasError } from "../../../../contract/errors.ts";
import type { ClusterAccess } from "./access.ts";
import { reloadingFile } from "./reloading-file.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What a user may have, for us to need nobody's help. */
const PLAIN_USER: ReadonlySet<string> = new Set([
  "token",
  "tokenFile",
  "client-certificate",
  "client-certificate-data",
  "client-key",
  "client-key-data",
]);
const PLAIN_CLUSTER: ReadonlySet<string> = new Set([
  "server",
  "certificate-authority",
  "certificate-authority-data",
  "insecure-skip-tls-verify",
  "tls-server-name",
  "extensions",
]);

/**
 * What a kubeconfig with certificates or tokens says, read without the client library.
 * @returns undefined for one that is beyond that: with a credential plugin, a proxy, or mistakes
 * @throws {FaasError} `invalid` when it cannot be read
 */
export async function openPlainKubeconfig(path: string): Promise<ClusterAccess | undefined> {
  const config = decodeFields(parseConfig(await readConfig(path), path));
  const context = named(config, "contexts", "context", config["current-context"]);
  const cluster = named(config, "clusters", "cluster", context.cluster);
  const user = named(config, "users", "user", context.user);
  const isPlain = hasOnly(cluster, PLAIN_CLUSTER) && hasOnly(user, PLAIN_USER);
  const server = textOf(cluster.server);
  if (!isPlain || server === undefined || !URL.canParse(server)) return undefined;

  const folder = dirname(resolve(path));
  const bytes = (fields: Fields, name: string): (() => Promise<Buffer | string>) | undefined => {
    const data = textOf(fields[`${name}-data`]);
    if (data !== undefined) return async () => Buffer.from(data, "base64");
    const file = textOf(fields[name]);
    return file === undefined ? undefined : reloadingFile(resolve(folder, file), name);
  };
  const [ca, cert, key] = [
    bytes(cluster, "certificate-authority"),
    bytes(user, "client-certificate"),
    bytes(user, "client-key"),
  ];
  const tokenFile = textOf(user.tokenFile);
  const token = tokenFile === undefined ? undefined : reloadingFile(resolve(folder, tokenFile), "tokenFile");
  const servername = textOf(cluster["tls-server-name"]);
  return {
    server: new URL(server),
    credentials: async (): Promise<RequestOptions> => {
      const bearer = (await token?.())?.trim() ?? textOf(user.token);
      return {
        ...(ca && { ca: await ca() }),
        ...(cert && { cert: await cert() }),
        ...(key && { key: await key() }),
        ...(servername !== undefined && { servername }),
        ...(cluster["insecure-skip-tls-verify"] === true && { rejectUnauthorized: false }),
        ...(bearer !== undefined && { headers: { Authorization: `Bearer ${bearer}` } }),
      };
    },
  };
}

async function readConfig(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new FaasError("invalid", `the kubeconfig in ${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function parseConfig(text: string, path: string): unknown {
  try {
    return parse(text);
  } catch {
    // The parser's message would quote the line, which may hold a key.
    throw new FaasError("invalid", `the kubeconfig in ${path} is not YAML`);
  }
}

function decodeFields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** `config[list]` holds `{ name, [field]: { … } }`; empty when there is none of that name. */
function named(config: Fields, list: string, field: string, name: unknown): Fields {
  const entries = config[list];
  if (!Array.isArray(entries)) return {};
  return decodeFields(decodeFields(entries.map(decodeFields).find((entry) => entry.name === name))[field]);
}

function hasOnly(fields: Fields, known: ReadonlySet<string>): boolean {
  return Object.entries(fields).every(([key, value]) => known.has(key) || value === null);
}
