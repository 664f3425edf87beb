import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { RequestHandler } from "express";
import type { Registry } from "prom-client";
import type { VersionInfo } from "../provider/contract/info.ts";
import { PATHS } from "../provider/contract/paths.ts";
import { type Credentials, requireBasicAuth } from "../provider/kit/basic-auth.ts";
import type { Logger } from "../provider/kit/log.ts";
import { createApp, errorResponder, notFoundResponder, route } from "../provider/kit/respond.ts";
import type { ProviderClient } from "./provider-client.ts";
import { FUNCTION_PREFIX, type FunctionProxy } from "./proxy/function-proxy.ts";
import type { FunctionTable } from "./proxy/function-table.ts";
import type { ProviderConnection } from "./proxy/provider-connection.ts";
import { ASYNC_PREFIX, type AsyncIntake } from "./routes/async-intake.ts";
import { functionListRoute } from "./routes/function-list.ts";
import { infoRoute } from "./routes/info.ts";

export interface GatewayDeps {
  readonly proxy: FunctionProxy;
  readonly table: FunctionTable;
  readonly connection: ProviderConnection;
  readonly provider: ProviderClient;
  /** Absent when there is no queue; asynchronous calls are then an unknown route, as in OpenFaaS. */
  readonly intake?: AsyncIntake;
  /** What `/system/*` and `/ui/` want; absent when authentication is off. */
  readonly credentials?: Credentials;
  readonly version: VersionInfo;
  readonly log: Logger;
}

/** Function calls bypass Express: they are most of the traffic, and need nothing of it. */
export function buildGateway(deps: GatewayDeps): RequestListener {
  const { proxy, intake } = deps;
  const control = buildControlRoutes(deps);
  return (req: IncomingMessage, res: ServerResponse) => {
    const url = req.url as string;
    if (url.startsWith(FUNCTION_PREFIX)) proxy.handle(req, res);
    else if (intake && url.startsWith(ASYNC_PREFIX)) intake.handle(req, res);
    else control(req, res);
  };
}

function buildControlRoutes({ credentials, connection, provider, table, version, log }: GatewayDeps): RequestListener {
  const app = createApp();
  const forward = (path?: string) => async (req: IncomingMessage, res: ServerResponse) =>
    await connection.forward(req, res, path ?? (req.url as string));

  route(app, PATHS.health, { GET: [forward(PATHS.health)] });
  route(app, "/", { GET: [redirectToUi] });

  const authorized = requireBasicAuth(credentials);
  app.get(PATHS.functions, authorized, functionListRoute({ provider, table }));
  route(app, PATHS.info, { GET: [authorized, infoRoute({ provider, version, log })] });
  app.all("/system/{*rest}", authorized, forward());
  app.all("/ui/{*rest}", authorized);

  app.use(notFoundResponder());
  app.use(errorResponder(log));
  return app;
}

/** As Go redirects: with a small page for those who do not follow. */
const redirectToUi: RequestHandler = (_req, res) => {
  res.status(307).set("Location", "/ui/").type("html").send('<a href="/ui/">Temporary Redirect</a>.\n\n');
};

/** `/metrics` and `/healthz` of the metrics port, which nobody needs to log in to. */
export function buildMetricsApp(registry: Registry, log: Logger): RequestListener {
  const app = createApp();
  app.all("/metrics", async (_req, res) => {
    res.set("Content-Type", registry.contentType).send(await registry.metrics());
  });
  route(app, PATHS.health, { GET: [(_req, res) => res.type("text/plain").send("OK")] });
  app.use(notFoundResponder());
  app.use(errorResponder(log));
  return app;
}

/** Methods that Node answers by itself unless told otherwise: a tunnel is not for us. */
export function refuseConnect(_req: IncomingMessage, socket: NodeJS.WritableStream): void {
  socket.end("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}
