import type { Request } from "express";
import type { Parameters } from "../core/dead-letter-query.ts";

/** As they were given: of a repeated one the last counts, empty ones are as if absent. */
export function parametersOf(req: Pick<Request, "query">): Parameters {
  const given = Object.entries(req.query).map(([name, value]) => [name, Array.isArray(value) ? value.at(-1) : value]);
  return Object.fromEntries(given.filter(([, value]) => typeof value === "string" && value !== ""));
}
