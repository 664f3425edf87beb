import { readFileSync } from "node:fs";
import type { EnvReader } from "../env.ts";
import { parseBool } from "../parse.ts";

/** Whose tokens open the function, and what it is called in them. */
export interface AuthConfig {
  /** Where the issuer tells about itself. */
  readonly discoveryUrl: string;
  /** `<namespace>:<name>`, which a token's permissions have to match. */
  readonly functionId: string;
  /** Log why a call was refused. */
  readonly debug: boolean;
}

const GATEWAY = "http://gateway.openfaas:8080/.well-known/openid-configuration";
/** The gateway of a development machine. */
const LOCAL_GATEWAY = "http://127.0.0.1:8000/.well-known/openid-configuration";
const NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/**
 * Undefined unless `jwt_auth` is set. Whatever might be meant as yes is yes, or stops the start: a function that its owner
 * believes closed must not be open.
 */
export function readAuth(read: EnvReader): AuthConfig | undefined {
  const wanted = read.optional("jwt_auth", parseBool) ?? false;
  const isLocal = read.optional("jwt_auth_local", parseBool) ?? false;
  const debug = read.lenient("jwt_auth_debug", parseBool, false) ?? false;
  const discoveryUrl = read.optional("jwt_discovery_url", parseHttpUrl) ?? (isLocal ? LOCAL_GATEWAY : GATEWAY);
  if (!wanted) return undefined;
  const name = read.required("OPENFAAS_NAME", String);
  const namespace = read.optional("OPENFAAS_NAMESPACE", String) ?? readNamespace();
  if (namespace === undefined) read.required("OPENFAAS_NAMESPACE", String);
  return { discoveryUrl, functionId: `${namespace}:${name}`, debug };
}

/** The namespace of the pod's service account. */
function readNamespace(): string | undefined {
  try {
    return readFileSync(NAMESPACE_FILE, "utf8").trim() || undefined;
  } catch {
    return undefined; // no pod, or one without an account
  }
}

function parseHttpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") throw new Error("must be a URL of http or https");
  return text;
}
