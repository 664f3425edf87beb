import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from "express";
import { clip } from "../contract/clip.ts";
import { parseJson } from "../contract/decode.ts";
import { ERROR_HEADER, type ErrorCode } from "../contract/error-codes.ts";
import { FaasError, STATUS, toFaasError } from "../contract/errors.ts";
import { shortageOf } from "../contract/shortages.ts";
import type { Logger } from "./log.ts";

type Method = "GET" | "HEAD" | "POST" | "PUT" | "DELETE";

/** Plain text as Go's `http.Error` sends it; nothing where the contract has an empty body. */
export function sendText(res: Response, status: number, text: string): void {
  res.status(status);
  if (text === "") {
    res.end();
    return;
  }
  res.set("X-Content-Type-Options", "nosniff").type("text/plain").send(`${text}\n`);
}

/** JSON as OpenFaaS sends it: no charset in the type. */
export function sendJson(res: Response, value: unknown, status = 200): void {
  const body = Buffer.from(JSON.stringify(value));
  res.status(status).setHeader("Content-Type", "application/json");
  res.setHeader("Content-Length", body.length);
  res.end(body);
}

/** Of a control request; each map and list in it has a bound of its own besides. */
const MAX_VALUES = 20_000;

/** Of what a failure says of itself; a name that is quoted in it may be as long as a request's head. */
const MAX_MESSAGE_CHARS = 8_000;

const MAX_ACCEPT_CHARS = 256;

/** Errors that the body parser and multer throw, as the contract's. */
function kindOfForeign(thrown: unknown): FaasError {
  if (thrown instanceof FaasError) return thrown;
  const { type, status, message, code } = thrown as { type?: string; status?: number; message?: string; code?: string };
  if (type === "entity.too.large" || code === "LIMIT_FILE_SIZE" || code === "LIMIT_FIELD_VALUE") {
    return new FaasError("tooLarge", "request body is too large", { cause: thrown });
  }
  if (status === 400 || code?.startsWith("LIMIT_")) {
    return new FaasError("invalid", message ?? "bad request", { cause: thrown });
  }
  return toFaasError(thrown);
}

/** The last middleware: every failure becomes its status and text; what nobody foresaw is logged and stays private. */
export function errorResponder(log: Logger): ErrorRequestHandler {
  return (thrown, req, res, _next) => {
    const error = kindOfForeign(thrown);
    if (error.kind === "internal")
      log.error({ err: error.cause ?? error, method: req.method, path: req.path }, "request failed");
    else if (shortageOf(error.cause))
      log.warn({ err: error.cause, method: req.method, path: req.path }, "request failed: out of resources");
    if (res.headersSent) {
      res.destroy();
      return;
    }
    sendError(req, res, error);
  };
}

/** A failure with its code: as plain text, which OpenFaaS's clients read, or as JSON for those who ask for nothing else. */
function sendError(req: Request, res: Response, { kind, code, message }: FaasError): void {
  const text = clip(message, MAX_MESSAGE_CHARS);
  markError(res, code);
  if (asksForJson(req.headers.accept)) sendJson(res, { code, kind, message: text }, STATUS[kind]);
  else sendText(res, STATUS[kind], text);
}

/** Says what kind of failure the answer is, beside its status. */
export function markError(res: Response, code: ErrorCode): void {
  res.setHeader(ERROR_HEADER, code);
}

/** Whether JSON, and nothing that plain text would do for, is asked for. @param accept the header of that name */
export function asksForJson(accept: string | undefined): boolean {
  if (accept === undefined || accept.length > MAX_ACCEPT_CHARS) return false;
  const types = accept.split(",").map((range) => range.split(";")[0]?.trim().toLowerCase());
  return types.every((type) => type === "application/json");
}

/** Unknown routes, as Go's router answers them. */
export function notFoundResponder(): RequestHandler {
  return (req, res) => sendError(req, res, new FaasError("notFound", "404 page not found", { code: "unknown_route" }));
}

/** Handlers of one path by method; any other method is 405 with an empty body, `HEAD` included unless it is listed. */
export function route(app: Express, path: string, handlers: Partial<Record<Method, RequestHandler[]>>): void {
  const known = app.route(path).all((req, res, next) => {
    if (Object.hasOwn(handlers, req.method)) next();
    else {
      markError(res, "method_not_allowed");
      res.status(405).end();
    }
  });
  for (const [method, chain] of Object.entries(handlers)) known[method.toLowerCase() as Lowercase<Method>](...chain);
}

/** Reads bodies of any type, up to `limitBytes`, for {@link bodyText}. */
export function rawBody(limitBytes: number): RequestHandler {
  return express.raw({ type: () => true, limit: limitBytes });
}

/** The body that {@link rawBody} read, as text; empty when there was none. */
export function bodyText(req: Request): string {
  return Buffer.isBuffer(req.body) ? req.body.toString("utf8") : "";
}

/**
 * The body that {@link rawBody} read, as JSON.
 * @param prefix opens the message, e.g. `failed to unmarshal request`
 * @throws {FaasError} `invalid`
 */
export function bodyJson(req: Request, prefix: string): unknown {
  return parseJson(bodyText(req), prefix, MAX_VALUES);
}

/** A query parameter; of a repeated one the last counts, as OpenFaaS reads them. Empty is the same as absent. */
export function queryText(req: Request, name: string): string | undefined {
  const given = req.query[name];
  const last = Array.isArray(given) ? given.at(-1) : given;
  return typeof last === "string" && last !== "" ? last : undefined;
}

/** All query parameters, each as {@link queryText} reads it. */
export function parametersOf(req: Pick<Request, "query">): Readonly<Record<string, string>> {
  const given = Object.entries(req.query).map(([name, value]) => [name, Array.isArray(value) ? value.at(-1) : value]);
  return Object.fromEntries(given.filter(([, value]) => typeof value === "string" && value !== ""));
}

/** An Express application that routes as Go's router does: exact case, no trailing slash added, no header of its own. */
export function createApp(): Express {
  const app = express();
  app.enable("strict routing");
  app.enable("case sensitive routing");
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", "simple");
  return app;
}
