import type { Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { decodeFunctionNamespace, type FunctionNamespace, isNamespaceName } from "../../contract/namespaces.ts";
import { bodyJson, bodyText, sendJson } from "../../kit/respond.ts";
import type { NamespaceStore } from "../backends/backend.ts";
import { pathName } from "./request-target.ts";

/** What marks a namespace as one for functions. Some clients look at the label, others at the annotation. */
const MARK = { openfaas: "1" };

/** `GET /system/namespaces` → 200 with names, the default first. */
export function listNamespaces(store: Pick<NamespaceStore, "list">): RequestHandler {
  return async (_req, res) => sendJson(res, await store.list());
}

/** `GET /system/namespace/{name}` → 200; fails as `notFound`. */
export function getNamespace(store: Pick<NamespaceStore, "get">): RequestHandler {
  return async (req, res) => {
    const name = nameInPath(req);
    const namespace = await store.get(name);
    if (!namespace) throw new FaasError("notFound", `namespace ${name} not found`);
    sendJson(res, namespace);
  };
}

/** `POST /system/namespace/` with `{ name, labels?, annotations? }` → 201; fails as `invalid` or `conflict`. */
export function createNamespace(store: Pick<NamespaceStore, "create">): RequestHandler {
  return async (req, res) => {
    await store.create(readNamespace(req, pathName(req) || undefined));
    res.status(201).end();
  };
}

/** `PUT /system/namespace/{name}` replaces labels and annotations → 202; fails as `invalid` or `notFound`. */
export function updateNamespace(store: Pick<NamespaceStore, "update">): RequestHandler {
  return async (req, res) => {
    await store.update(readNamespace(req, nameInPath(req)));
    res.status(202).end();
  };
}

/** `DELETE /system/namespace/{name}` → 202; fails as `invalid`, `notFound` or `conflict`. */
export function removeNamespace(store: Pick<NamespaceStore, "remove">): RequestHandler {
  return async (req, res) => {
    const name = nameInPath(req);
    if (bodyText(req).trim() !== "") readNamespace(req, name);
    await store.remove(name);
    res.status(202).end();
  };
}

function nameInPath(req: Request): string {
  const name = pathName(req);
  if (name === "") throw new FaasError("invalid", "namespace: its name is missing in the path");
  return name;
}

function readNamespace(req: Request, expectedName: string | undefined): FunctionNamespace {
  const body = decodeFunctionNamespace(bodyJson(req, "namespace"));
  if (body.name === "") throw new FaasError("invalid", "namespace: name: is required");
  if (!isNamespaceName(body.name)) {
    throw new FaasError("invalid", `namespace: name: (${body.name}) is invalid, must be a valid DNS label`);
  }
  if (expectedName !== undefined && body.name !== expectedName) {
    throw new FaasError("invalid", "namespace in request body does not match namespace in URL");
  }
  if ((body.labels?.openfaas ?? "1") !== "1") {
    throw new FaasError("invalid", "request does not have openfaas=1 label");
  }
  return { name: body.name, labels: { ...body.labels, ...MARK }, annotations: { ...body.annotations, ...MARK } };
}
