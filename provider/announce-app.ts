import type { RequestListener } from "node:http";
import type { RequestHandler } from "express";
import { PATHS } from "../contract/paths.ts";
import { descriptorLimit, shareConnections } from "../kit/descriptors.ts";
import type { Logger } from "../kit/log.ts";
import { createApp, errorResponder, notFoundResponder, route } from "../kit/respond.ts";
import { type DrainingServer, listen } from "../kit/server.ts";
import type { Backend } from "./backends/backend.ts";
import { announceReplica } from "./routes/announce.ts";
import { RateLimit } from "./routes/rate-limit.ts";

export interface AnnounceAppOptions {
  readonly announce: NonNullable<Backend["announce"]>;
  readonly log: Logger;
  /** Sees every announcement, as of {@link createHttpMetrics}. */
  readonly observe?: RequestHandler;
}

/** A second of them; a replica announces itself once. A replica that is refused is found by probing. */
const ANNOUNCEMENTS = { perCaller: 10, total: 1_000 };

/** An announcement has a handful of headers, comes in one piece, and nothing follows it. */
const SERVER = { maxHeaderSize: 16 * 1024, headersTimeout: 5_000, requestTimeout: 5_000, keepAliveTimeout: 1_000 };
const MAX_CONNECTIONS = 1_000;
const MAX_REQUESTS_PER_CONNECTION = 10;

/** What functions' pods reach of a provider: `POST /announce`, and nothing else. */
export function buildAnnounceApp({ announce, log, observe }: AnnounceAppOptions): RequestListener {
  const app = createApp();
  const limit = new RateLimit({ ...ANNOUNCEMENTS, now: () => performance.now() });
  const chain = announceReplica(announce, limit);
  route(app, PATHS.announce, { POST: observe ? [observe, ...chain] : chain });
  app.use(notFoundResponder());
  app.use(errorResponder(log));
  return app;
}

/** Serves it on a port of its own. @throws the listen error when the port is taken */
export async function listenForAnnouncements(
  options: AnnounceAppOptions,
  where: { readonly port: number; readonly host: string },
): Promise<DrainingServer> {
  const listening = await listen(buildAnnounceApp(options), {
    ...where,
    server: SERVER,
    limits: { maxConnections: Math.min(MAX_CONNECTIONS, shareConnections(descriptorLimit()).provider) },
    log: options.log,
  });
  listening.server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
  return listening;
}
