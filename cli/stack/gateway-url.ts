import { stripEnd } from "../../contract/strip-end.ts";

export const DEFAULT_GATEWAY = "http://127.0.0.1:8080";

export interface GatewaySources {
  /** `--gateway`. */
  readonly flag?: string | undefined;
  /** `provider.gateway` of the stack file. */
  readonly stack?: string | undefined;
  /** `OPENFAAS_URL`. */
  readonly env?: string | undefined;
}

/**
 * Which gateway is meant: the first of flag, stack file and environment that says something, where the default URL
 * says nothing unless it comes from the environment. Without a trailing slash, in lower case, as credentials are
 * stored under it.
 * @param explicitFlag lets the flag win even when it repeats the default
 */
export function resolveGatewayUrl({ flag = "", stack = "", env = "" }: GatewaySources, explicitFlag = false): string {
  if (explicitFlag && flag !== "") return normalizeGatewayUrl(flag);
  for (const url of [flag, stack].map(normalizeGatewayUrl)) if (url !== "" && url !== DEFAULT_GATEWAY) return url;
  return normalizeGatewayUrl(env) || DEFAULT_GATEWAY;
}

export function normalizeGatewayUrl(text: string): string {
  const url = stripEnd(text.trim().toLowerCase(), "/");
  return url === "" || url.startsWith("http") ? url : `http://${url}`;
}
