import { FaasError } from "../../../contract/errors.ts";
import { qualifiedName } from "../../../contract/functions.ts";
import { CALL_PRESETS } from "../../../contract/ui/series.ts";
import { type Parameters, readFunction, refuseOthers } from "../../core/dead-letter-query.ts";
import type { KeptCallPage } from "./call-log.ts";
import { readWhole } from "./series-query.ts";

export interface CallsQuery extends KeptCallPage {
  /** `name.namespace`. */
  readonly name: string;
}

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;

/**
 * The parameters of `GET /ui/api/calls`.
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readCallsQuery(given: Parameters, defaultNamespace: string): CallsQuery {
  refuseOthers(given, ["function", "namespace", "preset", "before", "limit"]);
  const ref = readFunction(given, defaultNamespace);
  if (!ref) throw new FaasError("invalid", "function: must be name or name.namespace");
  const preset = CALL_PRESETS.find((known) => known === (given.preset ?? "all"));
  if (!preset) throw new FaasError("invalid", `preset: must be one of ${CALL_PRESETS.join(", ")}`);
  const { before } = given;
  if (before !== undefined && !/^\d{1,15}(\.\d{1,9})?$/.test(before)) {
    throw new FaasError("invalid", "before: must be what the page before has as next, or milliseconds since 1970");
  }
  return {
    name: qualifiedName(ref),
    preset,
    before: before === undefined ? undefined : Number(before),
    limit: readWhole("limit", given.limit, [1, MAX_LIMIT]) ?? DEFAULT_LIMIT,
  };
}
