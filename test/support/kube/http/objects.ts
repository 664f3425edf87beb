import type { IncomingMessage, ServerResponse } from "node:http";
import type { Api, WriteOptions } from "../api.ts";
import type { DeleteOptions } from "../delete.ts";
import { applyJsonPatch } from "../patches/json-patch.ts";
import { applyMergePatch } from "../patches/merge-patch.ts";
import { applyStrategicPatch } from "../patches/strategic.ts";
import { scaleOf, writeScale } from "../scale.ts";
import { ApiError, badRequest, methodNotAllowed, noSuchResource } from "../status.ts";
import { objectKey } from "../store.ts";
import { type Fields, isFields, type KubeObject } from "../types.ts";
import { contentTypeOf, readBody, requireFields, unsupportedType } from "./body.ts";
import type { Encoder, Format } from "./encode.ts";
import { listPage } from "./list.ts";
import { isTrue, type ResourceRoute } from "./route.ts";
import { tableOf } from "./table.ts";
import type { WatchHub } from "./watch.ts";

/** Gives the log of a pod; in a cluster the kubelet does. @throws {ApiError} */
export type LogReader = (pod: KubeObject, query: URLSearchParams, res: ServerResponse) => void;

export interface ObjectsDeps {
  readonly api: Api;
  readonly watches: WatchHub;
  readonly encoder: Encoder;
  readonly readLog: LogReader;
}

/** Kinds whose deletion answers with the object, even when it is gone at once. */
const RETURNED_WHEN_DELETED = ["pods", "services", "serviceaccounts", "resourcequotas"];
const PATCH_TYPES = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
];

/** Answers a request for objects. @throws {ApiError} */
export async function serveObjects(
  deps: ObjectsDeps,
  route: ResourceRoute,
  format: Format,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { api, encoder } = deps;
  const { resource, namespace, name, verb, subresource, query } = route;
  const key = { namespace, name };
  requireSubresource(route);
  const send = (status: number, object: KubeObject) => sendJson(res, status, encoder.object(resource, object, format));
  switch (verb) {
    case "watch":
      return deps.watches.open(route, format, res);
    case "list":
      return sendList(deps, route, format, res);
    case "get":
      if (subresource === "log") return deps.readLog(api.get(resource, key), query, res);
      if (subresource === "scale") return sendJson(res, 200, JSON.stringify(scaleOf(api.get(resource, key))));
      if (format === "table") return sendTable(res, route, [api.get(resource, key)], {});
      return send(200, api.get(resource, key));
    case "create": {
      if (name !== "" || (resource.namespaced && namespace === "")) throw methodNotAllowed();
      const written = api.create(resource, namespace, requireFields(await readBody(req)), writeOptions(route, req));
      warn(res, written.warnings);
      return send(201, written.object);
    }
    case "update": {
      if (name === "") throw methodNotAllowed();
      const body = requireFields(await readBody(req));
      const options = writeOptions(route, req);
      if (subresource === "scale") return sendScale(res, writeScale(api, resource, key, () => body, options).object);
      const written = api.update(resource, key, body, options);
      warn(res, written.warnings);
      return send(written.created ? 201 : 200, written.object);
    }
    case "patch": {
      const change = patcher(resource.type, contentTypeOf(req), await readBody(req), resource.custom);
      const options = writeOptions(route, req);
      if (isTrue(query.get("force"))) throw forceOnPatch();
      if (subresource === "scale") return sendScale(res, writeScale(api, resource, key, change, options).object);
      const written = api.patch(resource, key, change, options);
      warn(res, written.warnings);
      return send(200, written.object);
    }
    case "apply": {
      const body = requireFields(await readBody(req));
      const fieldManager = query.get("fieldManager") ?? "";
      if (fieldManager === "") throw managerRequired();
      const options = { ...writeOptions(route, req), fieldManager, force: isTrue(query.get("force")) };
      const written = api.apply(resource, key, body, options);
      return send(written.created ? 201 : 200, written.object);
    }
    case "delete": {
      if (subresource !== "") throw methodNotAllowed();
      const { object, gone } = api.delete(resource, key, deleteOptions(await readBody(req), query));
      if (!gone || RETURNED_WHEN_DELETED.includes(resource.key)) return send(200, object);
      const { group, plural } = resource;
      const details = { name, ...(group !== "" && { group }), kind: plural, uid: object.metadata.uid };
      const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details };
      return sendJson(res, 200, JSON.stringify(status));
    }
    case "deletecollection": {
      const options = deleteOptions(await readBody(req), query);
      const { items } = listPage(api, route);
      for (const item of items) api.delete(resource, objectKey(item), options);
      return sendList(deps, { ...route, verb: "list" }, format, res, items);
    }
  }
}

function requireSubresource({ resource, subresource, verb }: ResourceRoute): void {
  if (subresource === "") return;
  if (subresource === "status" && resource.hasStatus) return;
  if (subresource === "scale" && resource.hasScale && verb !== "apply") return;
  if (subresource === "log" && resource.key === "pods" && verb === "get") return;
  throw noSuchResource();
}

export function sendJson(
  res: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  const length = Buffer.byteLength(text);
  res.writeHead(status, { "content-type": "application/json", "content-length": length, ...headers });
  res.end(text);
}

function sendScale(res: ServerResponse, object: KubeObject): void {
  sendJson(res, 200, JSON.stringify(scaleOf(object)));
}

function sendList(
  { api, encoder }: ObjectsDeps,
  route: ResourceRoute,
  format: Format,
  res: ServerResponse,
  given?: readonly KubeObject[],
): void {
  const page =
    given === undefined
      ? listPage(api, route)
      : { items: given, resourceVersion: String(api.store.revision), continue: undefined, remaining: undefined };
  const { kind, apiVersion } = encoder.listKind(route.resource, format);
  const metadata = {
    resourceVersion: page.resourceVersion,
    continue: page.continue,
    remainingItemCount: page.remaining,
  };
  if (format === "table") {
    sendTable(res, route, page.items, metadata);
    return;
  }
  const items = page.items.map((item) => encoder.item(route.resource, item, format));
  const head = JSON.stringify({ kind, apiVersion, metadata });
  sendJson(res, 200, `${head.slice(0, -1)},"items":[${items.join(",")}]}`);
}

function sendTable(
  res: ServerResponse,
  { resource }: ResourceRoute,
  items: readonly KubeObject[],
  metadata: Fields,
): void {
  sendJson(res, 200, JSON.stringify(tableOf(resource, items, metadata)));
}

function warn(res: ServerResponse, warnings: readonly string[]): void {
  if (warnings.length > 0)
    res.setHeader(
      "warning",
      warnings.map((text) => `299 - ${JSON.stringify(text)}`),
    );
}

function patcher(
  type: Parameters<typeof applyStrategicPatch>[0],
  contentType: string,
  body: unknown,
  custom: boolean,
): (live: Fields) => unknown {
  switch (contentType) {
    case "application/json-patch+json":
      return (live) => applyJsonPatch(live, body);
    case "application/merge-patch+json":
      return (live) => applyMergePatch(live, requireFields(body));
    case "application/strategic-merge-patch+json":
      if (custom)
        throw unsupportedType(
          contentType,
          PATCH_TYPES.filter((accepted) => accepted !== contentType),
        );
      return (live) => applyStrategicPatch(type, live, requireFields(body));
    default:
      throw unsupportedType(contentType, PATCH_TYPES);
  }
}

function writeOptions({ query, subresource }: ResourceRoute, req: IncomingMessage): WriteOptions {
  const validation = query.get("fieldValidation") ?? "Warn";
  if (validation !== "Ignore" && validation !== "Warn" && validation !== "Strict") {
    throw badRequest(
      `fieldValidation: Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Strict", "Warn"`,
    );
  }
  const dryRun = query.get("dryRun");
  if (dryRun !== null && dryRun !== "All") throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(dryRun)}`);
  return {
    fieldManager: query.get("fieldManager") ?? (req.headers["user-agent"]?.split("/")[0] || "unknown"),
    fieldValidation: validation,
    dryRun: dryRun === "All",
    subresource: subresource === "status" || subresource === "scale" ? subresource : "",
  };
}

function patchOptionsInvalid(field: string, reason: string, message: string): ApiError {
  return new ApiError(422, "Invalid", `PatchOptions.meta.k8s.io "" is invalid: ${field}: ${message}`, {
    group: "meta.k8s.io",
    kind: "PatchOptions",
    causes: [{ reason, message, field }],
  });
}

function managerRequired(): ApiError {
  return patchOptionsInvalid("fieldManager", "FieldValueRequired", "Required value: is required for apply patch");
}

function forceOnPatch(): ApiError {
  return patchOptionsInvalid("force", "FieldValueForbidden", "Forbidden: may not be specified for non-apply patch");
}

function deleteOptions(body: unknown, query: URLSearchParams): DeleteOptions {
  const options = isFields(body) ? body : {};
  const preconditions = isFields(options.preconditions) ? options.preconditions : {};
  const grace = options.gracePeriodSeconds ?? query.get("gracePeriodSeconds") ?? undefined;
  const propagation = options.propagationPolicy ?? query.get("propagationPolicy") ?? "Background";
  if (propagation !== "Background" && propagation !== "Foreground" && propagation !== "Orphan") {
    throw badRequest(`propagationPolicy: Unsupported value: ${JSON.stringify(propagation)}`);
  }
  return {
    uid: preconditions.uid as string | undefined,
    resourceVersion: preconditions.resourceVersion as string | undefined,
    gracePeriodSeconds: grace === undefined ? undefined : Number(grace),
    propagation,
    dryRun: query.get("dryRun") === "All" || (Array.isArray(options.dryRun) && options.dryRun.includes("All")),
  };
}
