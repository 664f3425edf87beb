import { readFile } from "node:fs/promises";
import { FaasError } from "../../../contract/errors.ts";
import type { TlsOptions } from "../../../kit/outbound/connector.ts";
import type { SourceContext } from "../source.ts";
import type { ClusterSettings } from "./kubernetes-settings.ts";

/** Where a cluster's API is, and what requests have to bring. */
export interface ClusterLogin {
  readonly server: string;
  readonly tls: TlsOptions;
  /** Asked for each request, as tokens change. */
  token(): Promise<string | undefined>;
  /** Its address is the platform's own, not one that somebody has declared. */
  readonly own: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const IN_CLUSTER = "https://kubernetes.default.svc";
/** What we need nobody's help for. */
const USER = new Set(["token", "client-certificate-data", "client-key-data"]);

/** @throws {FaasError} `notFound` for a secret, `invalid` for what cannot be read */
export async function openLogin(settings: ClusterSettings, secret: SourceContext["secret"]): Promise<ClusterLogin> {
  if (settings.kind === "inCluster") return await serviceAccount();
  if (settings.kind === "kubeconfig") {
    return await fromKubeconfig(await secret(settings.secret.secret, settings.secret.key));
  }
  const { url, token, ca } = settings;
  const authority = ca && (await secret(ca.secret, ca.key));
  return {
    server: withoutEnd(url),
    tls: authority === undefined ? {} : { ca: authority },
    token: async () => token && (await secret(token.secret, token.key)).trim(),
    own: false,
  };
}

async function serviceAccount(): Promise<ClusterLogin> {
  const read = async (name: string) => {
    try {
      return await readFile(`${SERVICE_ACCOUNT}/${name}`, "utf8");
    } catch (cause) {
      throw new FaasError(
        "invalid",
        "this process has no service account of a cluster; declare kubeconfig, or server and token",
        {
          cause,
        },
      );
    }
  };
  return {
    server: IN_CLUSTER,
    tls: { ca: await read("ca.crt") },
    token: async () => (await read("token")).trim(),
    own: true,
  };
}

async function fromKubeconfig(text: string): Promise<ClusterLogin> {
  const { parse } = await import("yaml");
  let config: Fields;
  try {
    config = fieldsOf(parse(text, { maxAliasCount: 0 }));
  } catch {
    // The parser's message would quote the line, which may hold a key.
    throw wrong("is not YAML");
  }
  const context = named(config, "contexts", "context", config["current-context"]);
  const cluster = named(config, "clusters", "cluster", context.cluster);
  const user = named(config, "users", "user", context.user);
  const server = textOf(cluster.server);
  if (server === undefined || !/^https?:\/\/[^/@]+/.test(server)) throw wrong("names no cluster");
  const beyond = Object.keys(user).find((field) => !USER.has(field));
  if (beyond !== undefined)
    throw wrong(`users: ${beyond} is beyond what can be used: token or client-certificate-data`);
  if (cluster["insecure-skip-tls-verify"] === true && server.startsWith("https:"))
    throw wrong("insecure-skip-tls-verify is not accepted");
  const bytes = (value: unknown) => {
    const base64 = textOf(value);
    return base64 === undefined ? undefined : Buffer.from(base64, "base64");
  };
  const ca = bytes(cluster["certificate-authority-data"]);
  const cert = bytes(user["client-certificate-data"]);
  const key = bytes(user["client-key-data"]);
  const servername = textOf(cluster["tls-server-name"]);
  return {
    server: withoutEnd(server),
    tls: {
      ...(ca && { ca }),
      ...(cert && { cert }),
      ...(key && { key }),
      ...(servername !== undefined && { servername }),
    },
    token: async () => textOf(user.token),
    own: false,
  };
}

function wrong(why: string): FaasError {
  return new FaasError("invalid", `kubeconfig: ${why}`);
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** `config[list]` holds `{ name, [field]: { … } }`; empty when there is none of that name. */
function named(config: Fields, list: string, field: string, name: unknown): Fields {
  const entries = config[list];
  return Array.isArray(entries)
    ? fieldsOf(fieldsOf(entries.map(fieldsOf).find((entry) => entry.name === name))[field])
    : {};
}

/** A path follows. */
function withoutEnd(url: string): string {
  return url.replace(/(?<!\/)\/+$/, "");
}
