import type { GatewayClient } from "../client/gateway-client.ts";
import { findAuthorization, isLoopbackUrl } from "../credentials.ts";
import { type Io, isDebug } from "../io.ts";
import { resolveGatewayUrl } from "../stack/gateway-url.ts";
import type { GatewayFlags } from "./options.ts";

export interface Connection {
  readonly client: GatewayClient;
  readonly url: string;
}

export interface ConnectOptions {
  /** `provider.gateway` of the stack file. */
  readonly stackGateway?: string | undefined;
  /** Lets a flag that repeats the default URL win over the stack file. */
  readonly explicitFlag?: boolean;
  readonly timeoutMs?: number | undefined;
}

/** A client for the gateway that flags, stack file and environment mean, with the credentials known for it. */
export async function connect(io: Io, flags: GatewayFlags, options: ConnectOptions = {}): Promise<Connection> {
  const { stackGateway, explicitFlag = false, timeoutMs } = options;
  const sources = { flag: flags.gateway, stack: stackGateway, env: io.env.OPENFAAS_URL };
  const url = resolveGatewayUrl(sources, explicitFlag);
  warnOfPlainHttp(io, url);
  const authorization = await findAuthorization(url, flags.token, io);
  const { GatewayClient } = await import("../client/gateway-client.ts");
  return { url, client: new GatewayClient({ url, authorization, timeoutMs, ...clientOptions(io, flags) }) };
}

/** What every request of this process has in common. */
export function clientOptions(io: Io, { tlsNoVerify = false }: GatewayFlags) {
  return {
    userAgent: `faaslane/${io.version}`,
    tlsVerify: !tlsNoVerify,
    ...(isDebug(io) && { trace: (line: string) => void io.stderr.write(`${line}\n`) }),
  };
}

export function warnOfPlainHttp(io: Io, url: string): void {
  if (url.startsWith("https:") || isLoopbackUrl(url)) return;
  io.stderr.write(
    `Warning: the connection to ${url} is not encrypted, credentials can be read on the way; use https\n`,
  );
}
