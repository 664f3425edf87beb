import { FaasError } from "../../contract/errors.ts";
import type { LogQuery } from "../../contract/logs.ts";

const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
const GO_TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);

/**
 * What a request for logs asks for.
 * @param read the value of a query parameter; undefined when absent or empty
 * @throws {FaasError} `unprocessable` naming the parameter and its rule
 */
export function parseLogQuery(read: (name: string) => string | undefined, namespace: string): LogQuery {
  const fail = (why: string): never => {
    throw new FaasError("unprocessable", `could not parse the log request: ${why}`);
  };
  const name = read("name") ?? fail("name: is required");
  const instance = read("instance");
  const sinceText = read("since");
  const tailText = read("tail") ?? "-1";

  const since = sinceText === undefined ? undefined : new Date(sinceText);
  if (since && (!RFC3339.test(sinceText ?? "") || Number.isNaN(since.getTime()))) {
    fail("since: must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z");
  }
  if (!/^[+-]?\d{1,15}$/.test(tailText)) fail("tail: must be a whole number");
  const tail = Number(tailText);
  return {
    name,
    namespace,
    follow: GO_TRUE.has(read("follow") ?? ""),
    ...(instance !== undefined && { instance }),
    ...(since && { since }),
    // Clients ask for everything with -1.
    ...(tail > 0 && { tail }),
  };
}
