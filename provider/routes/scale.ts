import type { RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { decodeScaleRequest } from "../../contract/functions.ts";
import { bodyJson } from "../../kit/respond.ts";
import type { FunctionStore } from "../backends/backend.ts";
import { pathName, requestedNamespace } from "./request-target.ts";

/**
 * `POST /system/scale-function/{name}` with `{ replicas, namespace?, inFlight? }` → 202; fails as `invalid` or `notFound`. The
 * name in the path counts: callers differ in what they write into `serviceName`.
 */
export function scaleFunction(store: Pick<FunctionStore, "scale">, fallback: string): RequestHandler {
  return async (req, res) => {
    const body = decodeScaleRequest(bodyJson(req, "Error unmarshalling request body"));
    const namespace = requestedNamespace(req, body, fallback);
    await store.scale({ name: pathName(req), namespace }, body.replicas, body.inFlight);
    res.status(202).end();
  };
}

/** `POST /system/hurry-function/{name}` → 202, whether or not there is such a function; fails as `unsupported`. */
export function expediteFunction(store: Pick<FunctionStore, "expedite">, fallback: string): RequestHandler {
  return (req, res) => {
    if (!store.expedite)
      throw new FaasError("unsupported", "this provider starts functions at once; there is nothing to expedite");
    store.expedite({ name: pathName(req), namespace: requestedNamespace(req, {}, fallback) });
    res.status(202).end();
  };
}
