import { isIP } from "node:net";
import { hostname } from "node:os";
import type { EnvReader } from "./env.ts";
import { parseUpstream, type Upstream } from "./parse.ts";

/** Where this replica reports that it listens, and as who. */
export interface AnnounceConfig {
  /** `prefix` is the whole path. */
  readonly url: Upstream;
  readonly token: string;
  readonly name: string;
  readonly namespace: string;
  /** The pod's name. */
  readonly instance: string;
  /** The address to be known by; undefined leaves it to the system's routes. */
  readonly localAddress: string | undefined;
}

/** Undefined unless `announce_url` is set. All of it is set by the platform; what is missing then is a problem. */
export function readAnnounce(read: EnvReader, bindAddress: string | undefined): AnnounceConfig | undefined {
  const url = read.optional("announce_url", parseUpstream);
  const need = url === undefined ? read.optional : read.required;
  const token = need("announce_token", parseToken);
  const name = need("OPENFAAS_NAME", String);
  const namespace = need("OPENFAAS_NAMESPACE", String);
  // Container runtimes set it to the name that the system has too, and both are the pod's.
  const instance = read.optional("HOSTNAME", String) ?? hostname();
  if (!url || !token || !name || !namespace) return undefined;
  return { url, token, name, namespace, instance, localAddress: specificAddress(bindAddress) };
}

/** Who listens on one address alone has to call from it, as the receiver takes the caller's address for the replica's. */
function specificAddress(bindAddress: string | undefined): string | undefined {
  if (bindAddress === undefined || isIP(bindAddress) === 0) return undefined;
  return bindAddress === "0.0.0.0" || /^[0:]+$/.test(bindAddress) ? undefined : bindAddress;
}

function parseToken(text: string): string {
  if (!/^[\x21-\x7e]+$/.test(text)) throw new Error("must be printable ASCII without spaces, as it becomes a header");
  return text;
}
