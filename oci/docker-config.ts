import { z } from "zod";
import { DEFAULT_REGISTRY } from "./image-reference.ts";

/** What to log in to a registry with. */
export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
}

const entry = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
});
const file = z.object({
  auths: z.record(z.string(), entry).default({}),
  credsStore: z.string().optional(),
  credHelpers: z.record(z.string(), z.string()).default({}),
});

/** The key of Docker Hub's credentials, which is older than its API. */
const HUB_KEYS = ["https://index.docker.io/v1/", "index.docker.io", DEFAULT_REGISTRY];

/**
 * The login for a registry in a Docker client's `config.json`, which is also what image pull secrets hold.
 * @param text the file
 * @returns undefined when it has none
 * @throws {Error} when it is malformed, or keeps the login where only a helper program finds it; never with what it holds
 * @see https://docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties
 */
export function findLogin(text: string, registry: string): RegistryLogin | undefined {
  const config = parse(text);
  const keys = registry === DEFAULT_REGISTRY ? HUB_KEYS : [registry, `https://${registry}`, `http://${registry}`];
  const known = Object.entries(config.auths).find(([key]) => keys.includes(key) || keys.includes(trim(key)));
  const found = known?.[1];
  if (found?.auth) return decodeAuth(found.auth, registry);
  if (found?.username !== undefined && found.password !== undefined) {
    return { username: found.username, password: found.password };
  }
  const helper = keys.map((key) => config.credHelpers[key]).find(Boolean) ?? (found && config.credsStore);
  if (helper === undefined) return undefined;
  throw new Error(
    `the login for ${registry} is kept by docker-credential-${helper}, which is not supported: put it under "auths"`,
  );
}

/**
 * A Docker client's `config.json` with the logins of another one and further ones, by registry. What only helper programs find is left
 * out.
 * @throws {Error} when `text` is malformed; never with what it holds
 */
export function mergeLogins(text: string | undefined, more: ReadonlyMap<string, RegistryLogin>): string {
  const { auths } = text === undefined ? { auths: {} } : parse(text);
  const added = [...more].map(([registry, { username, password }]) => [
    registry,
    { auth: Buffer.from(`${username}:${password}`).toString("base64") },
  ]);
  return JSON.stringify({ auths: { ...auths, ...Object.fromEntries(added) } });
}

function parse(text: string): z.output<typeof file> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error("the Docker configuration is not JSON"); // the parser's message quotes what it reads
  }
  const parsed = file.safeParse(json);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.slice(0, 1).join(".") || "it";
  throw new Error(`the Docker configuration is malformed: ${where} has another form`);
}

/** `https://host/v1/` → `host`. */
function trim(key: string): string {
  return key.replace(/^https?:\/\//, "").replace(/\/v[12]\/?$|\/$/, "");
}

function decodeAuth(auth: string, registry: string): RegistryLogin {
  const decoded = Buffer.from(auth, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  if (colon < 1) throw new Error(`the Docker configuration is malformed: "auth" of ${registry} is no login`);
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1).replace(/\0+$/, "") };
}
