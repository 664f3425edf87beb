import type { UiFeatures } from "../../contract/ui/session.ts";
import type { Credentials } from "../../kit/basic-auth.ts";
import { hostBeside } from "../../kit/bind-address.ts";
import { Certificates } from "../../kit/certificates.ts";
import type { Logger } from "../../kit/log.ts";
import type { LoginAttempts } from "../../kit/login-attempts.ts";
import { type DrainingServer, type Handler, listen } from "../../kit/server.ts";
import type { PathPrefix } from "../core/path-prefix.ts";
import { type Assets, loadAssets } from "../ui/assets.ts";
import { Dashboard } from "../ui/dashboard.ts";
import type { GatewayConfig } from "./config.ts";
import type { UiConfig } from "./ui-config.ts";

export interface DashboardParts {
  readonly config: UiConfig;
  readonly credentials: Credentials | undefined;
  readonly attempts: LoginAttempts;
  readonly release: string;
  readonly defaultNamespace: string;
  readonly features: UiFeatures;
  readonly pathPrefix: PathPrefix;
}

/** @returns undefined with `ui=off` */
export function openDashboard({ config, ...parts }: DashboardParts): Dashboard | undefined {
  if (!config.on) return undefined;
  let loaded: Assets | undefined;
  const assets = () => {
    loaded ??= loadAssets();
    return loaded;
  };
  const { readOnly, port, sessionIdleMs: idleMs, sessionMaxMs: maxMs } = config;
  return new Dashboard({ ...parts, assets, readOnly, limits: { idleMs, maxMs }, ownOrigin: port !== undefined });
}

const MAX_CONNECTIONS = 200;

/** Opens the dashboard's own port, with the gateway's certificates. @throws the listen error when it is taken */
export async function listenForDashboard(
  handler: Handler,
  port: number,
  { ui, bindAddress, front, readTimeoutMs }: Pick<GatewayConfig, "ui" | "bindAddress" | "front" | "readTimeoutMs">,
  log: Logger,
): Promise<DrainingServer> {
  const pairs = front.certificates;
  const certificates = pairs.length > 0 ? await Certificates.open(pairs, { log }) : undefined;
  try {
    const server = await listen(handler, {
      port,
      host: ui.bindAddress ?? hostBeside(bindAddress),
      server: { requestTimeout: readTimeoutMs },
      limits: { maxConnections: MAX_CONNECTIONS },
      front: { proxyProtocol: false, certificates },
      log,
    });
    return {
      ...server,
      drain: async (timeoutMs) => {
        certificates?.close();
        await server.drain(timeoutMs);
      },
    };
  } catch (error) {
    certificates?.close();
    throw error;
  }
}
