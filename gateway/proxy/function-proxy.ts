import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { INTERNAL_HEADER } from "../../provider/contract/paths.ts";
import { type FunctionPath, parseFunctionPath } from "../core/function-path.ts";
import { type CallContext, FunctionCall } from "./function-call.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { FunctionTable } from "./function-table.ts";
import type { CallHeaders } from "./headers.ts";
import { LateArrivals } from "./late-arrivals.ts";

export const FUNCTION_PREFIX = "/function/";

const METHODS = new Set(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]);

export interface FunctionProxyOptions {
  readonly table: FunctionTable;
  /** See {@link LateArrivals}. */
  readonly exists: (target: string) => Promise<boolean>;
  /** Asks the provider for replicas; see {@link CallContext}. */
  readonly wake: (entry: FunctionEntry) => void;
  readonly holdTimeoutMs: number;
  /** Release of this gateway, for `X-Served-By` and `User-Agent`. */
  readonly release: string;
}

/** Takes calls straight from `node:http` and forwards each to a replica of its function, in one hop. */
export class FunctionProxy {
  readonly #table: FunctionTable;
  readonly #late: LateArrivals;
  readonly #context: CallContext;
  readonly #userAgent: string;

  constructor({ table, exists, wake, holdTimeoutMs, release }: FunctionProxyOptions) {
    this.#table = table;
    this.#late = new LateArrivals({ table, exists });
    this.#context = { wake, holdTimeoutMs, servedBy: `faaslane/${release}` };
    this.#userAgent = `faaslane-gateway/${release}`;
  }

  /** Answers a request whose URL starts with {@link FUNCTION_PREFIX}. */
  handle(req: IncomingMessage, res: ServerResponse): void {
    const path = parseFunctionPath(req.url as string, FUNCTION_PREFIX);
    if (path.kind !== "function") {
      answerNoFunction(res, path);
      return;
    }
    const headers = callHeaders(req, this.#userAgent);
    if (!METHODS.has(req.method as string)) {
      res.writeHead(405, { ...this.responseHeaders(headers), "content-length": "0" }).end();
      return;
    }
    const entry = this.#table.find(path.target);
    if (entry) this.#call(entry, req, res, path.url, headers);
    else
      void this.findLate(path.target, res, headers).then(
        (late) => late && this.#call(late, req, res, path.url, headers),
      );
  }

  #call(entry: FunctionEntry, req: IncomingMessage, res: ServerResponse, url: string, headers: CallHeaders): void {
    new FunctionCall(this.#context, entry, req, res, url, headers).start();
  }

  /**
   * Finds a function that the table does not know (yet); when there is none, answers the call: 404, or 503 while
   * nobody can tell.
   */
  async findLate(target: string, res: ServerResponse, headers: CallHeaders): Promise<FunctionEntry | undefined> {
    let sure = this.#table.synced;
    try {
      const entry = sure ? await this.#late.find(target) : undefined;
      if (entry) return entry;
    } catch {
      sure = false; // the provider is away, which its own stream has logged already
    }
    const text = sure
      ? `error finding function ${target}: not found\n`
      : `cannot tell whether function ${target} exists: the provider does not answer\n`;
    res.writeHead(sure ? 404 : 503, {
      ...this.responseHeaders(headers),
      ...(sure ? {} : { "retry-after": "1", [INTERNAL_HEADER]: "proxy" }),
      "content-type": "text/plain; charset=utf-8",
      "x-content-type-options": "nosniff",
    });
    res.end(text);
    return undefined;
  }

  responseHeaders({ callId, startTime }: CallHeaders): Record<string, string> {
    return { "x-call-id": callId, "x-start-time": startTime, "x-served-by": this.#context.servedBy };
  }

  newCallHeaders(req: IncomingMessage): CallHeaders {
    return callHeaders(req, this.#userAgent);
  }
}

/** The caller's own call id or a new one; the time is ours. */
function callHeaders(req: IncomingMessage, userAgent: string): CallHeaders {
  const given = req.headers["x-call-id"];
  const callId = typeof given === "string" && given !== "" ? given : randomUUID();
  return { callId, startTime: `${Date.now()}000000`, userAgent };
}

/** Sends the caller to the clean path, or says that there is no such route, as Go's router does. */
export function answerNoFunction(res: ServerResponse, path: Exclude<FunctionPath, { kind: "function" }>): void {
  if (path.kind === "redirect") {
    res.writeHead(301, { location: path.location, "content-length": "0" }).end();
    return;
  }
  res.writeHead(404, { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" });
  res.end("404 page not found\n");
}
