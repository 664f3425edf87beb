import type { IncomingMessage } from "node:http";
import type { Request, RequestHandler } from "express";
import { parseJson } from "../../contract/decode.ts";
import { decodeScaleRequest, type ScaleRequest } from "../../contract/functions.ts";
import { queryText } from "../../kit/respond.ts";
import type { ProviderConnection } from "../proxy/provider-connection.ts";
import type { Autoscaler } from "../scaling/autoscaler.ts";

export interface ScaleByHandDeps {
  readonly autoscaler: Pick<Autoscaler, "scaledByHand">;
  readonly connection: Pick<ProviderConnection, "forward">;
  /** @param target `name.namespace`; undefined for functions that are not known */
  find(target: string): { readonly qualifiedName: string } | undefined;
  /** Of names written without one. */
  readonly defaultNamespace: string;
}

/** Orders are far smaller. */
const MAX_BODY_BYTES = 64 * 1024;

/**
 * `POST /system/scale-function/<function>`: the provider's own route, whose answer it is. The autoscaler learns that
 * somebody wants that number, also when it is the present one.
 */
export function scaleByHand({ autoscaler, connection, find, defaultNamespace }: ScaleByHandDeps): RequestHandler {
  return async (req, res, next) => {
    if (!isSmall(req)) {
      next();
      return;
    }
    const body = await read(req).catch(() => undefined);
    if (!body) return; // the caller left while sending
    await connection.forward(req, res, req.url, { body });
    if (res.statusCode < 200 || res.statusCode > 299) return;
    const order = readOrder(body);
    if (!order) return;
    const namespace = queryText(req, "namespace") ?? (order.namespace || defaultNamespace);
    const name = `${String((req as Request<{ name: string }>).params.name)}.${namespace}`;
    // Its main version is the function itself.
    const entry = find(name);
    if (entry) autoscaler.scaledByHand(entry.qualifiedName, order.replicas);
  };
}

/** Whether it can be read at once; anything else goes to the provider as it comes. */
function isSmall({ headers }: IncomingMessage): boolean {
  const length = Number(headers["content-length"] ?? Number.NaN);
  return length > 0 && length <= MAX_BODY_BYTES && headers["content-encoding"] === undefined;
}

async function read(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** What the provider has understood, as its answer says. */
function readOrder(body: Buffer): ScaleRequest | undefined {
  try {
    return decodeScaleRequest(parseJson(body.toString("utf8"), "order", 1_000));
  } catch {
    return undefined;
  }
}
