import type { RequestHandler } from "express";
import type { EndpointsEvent } from "../../contract/endpoints.ts";
import { clientGone, type Heartbeat, sendNdjson } from "../../kit/ndjson.ts";
import type { Backend } from "../backends/backend.ts";

export interface EndpointsOptions {
  readonly heartbeatMs: number;
  /** Aborted when the provider closes. */
  readonly closing: AbortSignal;
}

/** `GET /system/endpoints` → 200 with an NDJSON stream that ends only when either side leaves. */
export function streamEndpoints(backend: Pick<Backend, "watch">, options: EndpointsOptions): RequestHandler {
  const heartbeat: Heartbeat = {
    everyMs: options.heartbeatMs,
    value: { type: "heartbeat" },
    // The first one says that the snapshot is complete, which is the backend's to say.
    begins: (item) => (item as EndpointsEvent).type === "heartbeat",
  };
  return async (_req, res) => {
    const signal = AbortSignal.any([options.closing, clientGone(res)]);
    await sendNdjson(res, backend.watch(signal), { signal, heartbeat });
  };
}
