import type { RequestHandler } from "express";
import type { Backend } from "../backends/backend.ts";
import { clientGone, sendNdjson } from "../kit/ndjson.ts";

export interface EndpointsOptions {
  readonly heartbeatMs: number;
  /** Aborted when the provider closes. */
  readonly closing: AbortSignal;
}

/** `GET /system/endpoints` → 200 with an NDJSON stream that ends only when either side leaves. */
export function streamEndpoints(backend: Pick<Backend, "watch">, options: EndpointsOptions): RequestHandler {
  const heartbeat = { everyMs: options.heartbeatMs, value: { type: "heartbeat" } };
  return async (_req, res) => {
    const signal = AbortSignal.any([options.closing, clientGone(res)]);
    await sendNdjson(res, backend.watch(signal), { signal, heartbeat });
  };
}
