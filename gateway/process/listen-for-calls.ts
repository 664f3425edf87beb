import { TrustedProxies } from "../../http/client-address.ts";
import type { OtherConnections } from "../../http/other-connections.ts";
import type { SharedCount, UpgradeOptions } from "../../http/upgrades.ts";
import type { Logger } from "../../kit/log.ts";
import { type DrainingServer, type Handler, listen } from "../../kit/server.ts";
import type { PathPrefix } from "../core/path-prefix.ts";
import { isFunctionCall } from "../proxy/function-proxy.ts";
import type { FunctionRoutes } from "../proxy/function-routes.ts";
import type { RoutedRequests } from "../proxy/routed-requests.ts";
import type { GatewayConfig } from "./config.ts";
import { listenWithCertificates } from "./listen-with-certificates.ts";

/** Longer than the idle time of the proxies that people put in front, so that they never race our closing. */
const KEEP_ALIVE_MS = 120_000;

/** What a listener of calls needs to know. */
export type CallListenerConfig = Pick<
  GatewayConfig,
  | "port"
  | "bindAddress"
  | "socketMode"
  | "front"
  | "functionSecretsPath"
  | "readTimeoutMs"
  | "http2"
  | "upgradeIdleMs"
  | "maxUpgrades"
>;

export interface CallListenerOptions {
  readonly config: CallListenerConfig;
  /** Of callers and to functions together. */
  readonly maxConnections: number;
  /** Those to functions, and others that calls need. */
  readonly others: OtherConnections;
  /** Whether others listen on the same port. */
  readonly reusePort?: boolean;
  /** Connections of all of them that have changed their protocol; absent where there are no others. */
  readonly upgraded?: SharedCount;
  readonly pathPrefix: PathPrefix;
  readonly routes: Pick<RoutedRequests, "leads">;
  /** What names certificates of hosts. */
  readonly functionRoutes: Pick<FunctionRoutes, "certificates" | "onChange">;
  readonly log: Logger;
}

/**
 * Opens the gateway's API to its callers.
 * @throws {StartError} when a certificate cannot be used or a socket is taken; the listen error when a port is
 */
export function listenForCalls(handler: Handler, options: CallListenerOptions): Promise<DrainingServer> {
  const { config, maxConnections, others, log } = options;
  const { trustedProxies, proxyProtocol, certificates: pairs } = config.front;
  return listenWithCertificates(pairs, log, (certificates) => {
    if (certificates) {
      const look = () => certificates.setHosts(options.functionRoutes.certificates(config.functionSecretsPath));
      options.functionRoutes.onChange(look);
      look();
    }
    return listen(handler, {
      port: config.port,
      host: config.bindAddress,
      socketMode: config.socketMode,
      reusePort: options.reusePort ?? false,
      server: { requestTimeout: config.readTimeoutMs, keepAliveTimeout: KEEP_ALIVE_MS },
      limits: { maxConnections, others },
      trusted: trustedProxies.length > 0 ? new TrustedProxies(trustedProxies) : undefined,
      front: { proxyProtocol, certificates },
      upgrades: {
        accepts: acceptsUpgrade(options),
        idleMs: config.upgradeIdleMs,
        max: config.maxUpgrades,
        shared: options.upgraded,
      },
      http2: config.http2,
      log,
    });
  });
}

/** Calls of functions alone may go on with another protocol. */
export function acceptsUpgrade({
  pathPrefix,
  routes,
}: Pick<CallListenerOptions, "pathPrefix" | "routes">): UpgradeOptions["accepts"] {
  return (given, req) => {
    const url = pathPrefix.strip(given);
    return isFunctionCall(url) || routes.leads(req, url);
  };
}
