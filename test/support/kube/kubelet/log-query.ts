import { badRequest } from "../status.ts";
import type { LogQuery } from "./logs.ts";

/** @throws {ApiError} bad request */
export function parseLogQuery(query: URLSearchParams, nowMs: number): LogQuery {
  const count = (name: string): number | undefined => {
    const text = query.get(name);
    if (text === null) return undefined;
    if (!/^\d+$/.test(text)) throw badRequest(`${name}: Invalid value: ${JSON.stringify(text)}: must be a number`);
    return Number(text);
  };
  const sinceTime = query.get("sinceTime");
  if (sinceTime !== null && Number.isNaN(Date.parse(sinceTime))) {
    throw badRequest(`sinceTime: Invalid value: ${JSON.stringify(sinceTime)}: must be a time`);
  }
  const sinceSeconds = count("sinceSeconds");
  if (sinceTime !== null && sinceSeconds !== undefined) {
    throw badRequest("at most one of `sinceTime` or `sinceSeconds` may be specified");
  }
  return {
    follow: query.get("follow") === "true",
    sinceMs: sinceTime !== null ? Date.parse(sinceTime) : sinceSeconds !== undefined ? nowMs - sinceSeconds * 1000 : 0,
    tail: count("tailLines"),
    timestamps: query.get("timestamps") === "true",
    limitBytes: count("limitBytes") ?? Number.POSITIVE_INFINITY,
  };
}
