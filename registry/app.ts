import type { IncomingMessage } from "node:http";
import { FaasError } from "../contract/errors.ts";
import { type Credentials, checkLogin } from "../kit/basic-auth.ts";
import { findForeign } from "../kit/control-guard.ts";
import type { Hosts } from "../kit/hosts.ts";
import type { Logger } from "../kit/log.ts";
import { LoginAttempts } from "../kit/login-attempts.ts";
import type { Handler } from "../kit/server.ts";
import { sendFailure, sendJsonText } from "./answers.ts";
import type { Asked } from "./asked.ts";
import { type Operation, parseOperation } from "./operation.ts";
import { RegistryFailure } from "./registry-failure.ts";
import { answerBlob, answerUpload, beginUpload } from "./routes/blobs.ts";
import { answerCatalog, answerTags } from "./routes/lists.ts";
import { answerManifest } from "./routes/manifests.ts";
import type { RegistryStore } from "./store.ts";

export interface RegistryAppOptions {
  readonly store: RegistryStore;
  readonly log: Logger;
  /** What clients must present; nobody is asked when absent. */
  readonly credentials: Credentials | undefined;
  /** Whether reading takes no credentials. */
  readonly anonymousPull: boolean;
  /** Names that it is called by; any when absent. */
  readonly hosts: Hosts | undefined;
}

/**
 * The distribution API on a store.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
export function buildRegistry(options: RegistryAppOptions): Handler {
  const { store, log, hosts } = options;
  const attempts = new LoginAttempts({ log });
  return async (req, res) => {
    res.setHeader("Docker-Distribution-API-Version", "registry/2.0");
    res.setHeader("X-Content-Type-Options", "nosniff");
    try {
      const { path, query } = split(req.url ?? "");
      if (path === "/healthz") {
        res.end();
        return;
      }
      const foreign = findForeign({ method: req.method ?? "", path, headers: req.headers }, hosts);
      if (foreign) throw new RegistryFailure("DENIED", foreign.message);
      const operation = parseOperation(path);
      if (operation?.kind === "ping" || !options.anonymousPull || !isReading(req)) {
        requireLogin(req, options.credentials, attempts);
      }
      if (!operation) throw new RegistryFailure("UNSUPPORTED", "there is no such path", { status: 404 });
      await answer(operation, { req, res, query }, store);
    } catch (error) {
      sendFailure(req, res, error, log);
    }
  };
}

async function answer(operation: Operation, asked: Asked, store: RegistryStore): Promise<void> {
  switch (operation.kind) {
    case "ping":
      allow(asked.req, "GET", "HEAD");
      sendJsonText(asked.res, {});
      return;
    case "catalog":
      allow(asked.req, "GET");
      return await answerCatalog(asked, store);
    case "tags":
      allow(asked.req, "GET");
      return await answerTags(operation, asked, store);
    case "manifest":
      allow(asked.req, "GET", "HEAD", "PUT", "DELETE");
      return await answerManifest(operation, asked, store);
    case "blob":
      allow(asked.req, "GET", "HEAD", "DELETE");
      return await answerBlob(operation, asked, store);
    case "uploads":
      allow(asked.req, "POST");
      return await beginUpload(operation, asked, store);
    case "upload":
      allow(asked.req, "GET", "PATCH", "PUT", "DELETE");
      return await answerUpload(operation, asked, store);
  }
}

function allow({ method = "" }: IncomingMessage, ...methods: readonly string[]): void {
  if (methods.includes(method)) return;
  const headers = { Allow: methods.join(", ") };
  throw new RegistryFailure("UNSUPPORTED", `the method must be one of ${methods.join(", ")}`, { headers });
}

const isReading = ({ method }: IncomingMessage) => method === "GET" || method === "HEAD";

function requireLogin(req: IncomingMessage, credentials: Credentials | undefined, attempts: LoginAttempts): void {
  try {
    if (checkLogin(req, credentials, attempts)) return;
  } catch (cause) {
    if (!(cause instanceof FaasError)) throw cause;
    const { retryAfterSeconds } = cause as FaasError & { retryAfterSeconds?: number };
    const headers = { "Retry-After": String(retryAfterSeconds ?? 1) };
    throw new RegistryFailure("TOOMANYREQUESTS", cause.message, { headers, cause });
  }
  const headers = { "WWW-Authenticate": 'Basic realm="faaslane registry"' };
  throw new RegistryFailure("UNAUTHORIZED", "the platform's user and password are needed", { headers });
}

function split(target: string): { readonly path: string; readonly query: URLSearchParams } {
  // Some clients send the whole URL, as to a proxy.
  const origin = target.startsWith("http") && URL.canParse(target) ? new URL(target).origin.length : 0;
  const [path = "", query = ""] = target.slice(origin).split("?", 2);
  return { path, query: new URLSearchParams(query) };
}
