import { stripEnd } from "../../contract/strip-end.ts";
import { CliError } from "../errors.ts";

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
 * @throws {CliError} for what is no URL
 * @param explicitFlag lets the flag win even when it repeats the default
 */
export function resolveGatewayUrl(sources: GatewaySources, explicitFlag = false): string {
  const url = chooseGatewayUrl(sources, explicitFlag);
  const isUrl = URL.canParse(url) && !/^https?:\/\/\w*:\/\//.test(url);
  if (!isUrl) throw new CliError(`the gateway must be a URL such as ${DEFAULT_GATEWAY}, not ${JSON.stringify(url)}`);
  return url;
}

function chooseGatewayUrl({ flag = "", stack = "", env = "" }: GatewaySources, explicitFlag: boolean): string {
  if (explicitFlag && flag !== "") return normalizeGatewayUrl(flag);
  for (const url of [flag, stack].map(normalizeGatewayUrl)) if (url !== "" && url !== DEFAULT_GATEWAY) return url;
  return normalizeGatewayUrl(env) || DEFAULT_GATEWAY;
}

function normalizeGatewayUrl(text: string): string {
  const url = stripEnd(text.trim().toLowerCase(), "/");
  return url === "" || /^https?:\/\//.test(url) ? url : `http://${url}`;
}
