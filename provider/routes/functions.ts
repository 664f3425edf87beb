import type { Request, RequestHandler, Response } from "express";
import { decodeDeleteRequest, decodeFunctionDeployment } from "../../contract/functions.ts";
import { encodeWarnings, WARNING_HEADER } from "../../contract/warnings.ts";
import { bodyJson, markError, queryText, sendJson } from "../../kit/respond.ts";
import type { FunctionStore, ResolvedDeployment } from "../backends/backend.ts";
import { pathName, requestedBy, requestedNamespace } from "./request-target.ts";

/** `GET /system/functions` → 200 with all functions of the namespace; fails as `invalid` when there is no such one. */
export function listFunctions(store: Pick<FunctionStore, "list">, fallback: string): RequestHandler {
  return async (req, res) => sendJson(res, await store.list(requestedNamespace(req, {}, fallback)));
}

/** `GET /system/function/{name}`, with `usage=1` to measure it too → 200, or 404 without a body. */
export function getFunction(store: Pick<FunctionStore, "get">, fallback: string): RequestHandler {
  return async (req, res) => {
    const usage = ["1", "true"].includes(queryText(req, "usage") ?? "");
    const ref = { name: pathName(req), namespace: requestedNamespace(req, {}, fallback) };
    const status = await store.get(ref, usage);
    if (status) sendJson(res, status);
    else {
      markError(res, "unknown_function");
      res.status(404).end();
    }
  };
}

/** `POST /system/functions` → 202, with warnings about what does not hold; fails as `invalid` or `conflict`. */
export function createFunction(store: Pick<FunctionStore, "create" | "warningsFor">, fallback: string): RequestHandler {
  return async (req, res) => {
    const deployment = readDeployment(req, fallback);
    await store.create(deployment);
    await answerDeployed(res, store, deployment);
  };
}

/** `PUT /system/functions` → 202 as above; fails as `invalid`, or as `notFound`, upon which faas-cli creates it. */
export function updateFunction(store: Pick<FunctionStore, "update" | "warningsFor">, fallback: string): RequestHandler {
  return async (req, res) => {
    const deployment = readDeployment(req, fallback);
    await store.update(deployment);
    await answerDeployed(res, store, deployment);
  };
}

async function answerDeployed(
  res: Response,
  store: Pick<FunctionStore, "warningsFor">,
  deployment: ResolvedDeployment,
): Promise<void> {
  const warnings = (await store.warningsFor?.(deployment)) ?? [];
  if (warnings.length > 0) res.setHeader(WARNING_HEADER, encodeWarnings(warnings));
  res.status(202).end();
}

/** `DELETE /system/functions` with `{ functionName, namespace? }` → 202; fails as `invalid` or `notFound`. */
export function removeFunction(store: Pick<FunctionStore, "remove">, fallback: string): RequestHandler {
  return async (req, res) => {
    const body = decodeDeleteRequest(bodyJson(req, "failed to unmarshal request"));
    await store.remove({ name: body.functionName, namespace: requestedNamespace(req, body, fallback) });
    res.status(202).end();
  };
}

function readDeployment(req: Request, fallback: string): ResolvedDeployment {
  const deployment = decodeFunctionDeployment(bodyJson(req, "failed to unmarshal request"));
  const by = requestedBy(req);
  const namespace = requestedNamespace(req, deployment, fallback);
  return { ...deployment, namespace, ...(by !== undefined && { by }) };
}
