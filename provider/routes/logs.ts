import type { RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { qualifiedName } from "../../contract/functions.ts";
import { clientGone, sendNdjson } from "../../kit/ndjson.ts";
import { queryText } from "../../kit/respond.ts";
import type { Backend } from "../backends/backend.ts";
import { parseLogQuery } from "./log-query.ts";
import { requestedNamespace } from "./request-target.ts";

export interface LogLimits {
  readonly fallbackNamespace: string;
  /** Longest stream, in milliseconds; Infinity for as long as the reader stays. */
  readonly maxStreamMs: number;
  /** Aborted when the provider closes. */
  readonly closing: AbortSignal;
}

/** `GET /system/logs` → 200 with an NDJSON stream of messages; fails as `unprocessable` or `notFound`. */
export function getLogs(backend: Pick<Backend, "functions" | "logs">, limits: LogLimits): RequestHandler {
  return async (req, res) => {
    const query = parseLogQuery((name) => queryText(req, name), requestedNamespace(req, {}, limits.fallbackNamespace));
    // A silent function sends nothing for a long time, so its head cannot wait for the first line to tell a 404.
    if (!(await backend.functions.get(query))) {
      throw new FaasError("notFound", `function ${qualifiedName(query)} not found`);
    }
    const stops = [limits.closing, clientGone(res)];
    if (Number.isFinite(limits.maxStreamMs)) stops.push(AbortSignal.timeout(limits.maxStreamMs));
    const signal = AbortSignal.any(stops);
    await sendNdjson(res, backend.logs(query, signal), { signal });
  };
}
