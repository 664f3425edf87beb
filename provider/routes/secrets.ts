import type { Request, RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { decodeSecretRequest, type SecretRequest, secretBytes } from "../../contract/secrets.ts";
import { bodyJson, queryText, sendJson } from "../../kit/respond.ts";
import type { SecretStore } from "../backends/backend.ts";
import { requestedNamespace } from "./request-target.ts";

/** `GET /system/secrets` → 200 with names, never values. */
export function listSecrets(store: Pick<SecretStore, "list">, fallback: string): RequestHandler {
  return async (req, res) => sendJson(res, await store.list(requestedNamespace(req, {}, fallback)));
}

/** `POST /system/secrets` → 202; fails as `invalid`, `unprocessable` (its name) or `conflict`. */
export function createSecret(store: Pick<SecretStore, "create">, fallback: string): RequestHandler {
  return async (req, res) => {
    const secret = readSecret(req);
    await store.create(nameOf(req, secret, fallback), secretBytes(secret));
    res.status(202).end();
  };
}

/** `PUT /system/secrets` → 202; fails as `invalid`, `unprocessable` or `notFound`. */
export function updateSecret(store: Pick<SecretStore, "update">, fallback: string): RequestHandler {
  return async (req, res) => {
    const secret = readSecret(req);
    await store.update(nameOf(req, secret, fallback), secretBytes(secret));
    res.status(202).end();
  };
}

/**
 * `DELETE /system/secrets` → 202; fails as `invalid`, `unprocessable` or `notFound`, and unless `force=true` is asked for
 * as `conflict` when functions use it.
 */
export function removeSecret(store: Pick<SecretStore, "remove">, fallback: string): RequestHandler {
  return async (req, res) => {
    await store.remove(nameOf(req, readSecret(req), fallback), readForce(req));
    res.status(202).end();
  };
}

function readForce(req: Request): boolean {
  const text = queryText(req, "force") ?? "false";
  if (text !== "true" && text !== "false") throw new FaasError("invalid", "force: must be true or false");
  return text === "true";
}

const readSecret = (req: Request) => decodeSecretRequest(secretJson(req));

// A parser's message quotes what it could not read, which may be the value.
function secretJson(req: Request): unknown {
  try {
    return bodyJson(req, "secret");
  } catch {
    throw new FaasError("invalid", "secret: the body is not JSON");
  }
}

function nameOf(req: Request, secret: SecretRequest, fallback: string) {
  return { name: secret.name, namespace: requestedNamespace(req, secret, fallback) };
}
