import { FaasError } from "../../contract/errors.ts";
import { isQueueName } from "../../contract/names.ts";
import { type Parameters, readFunction, readPage, refuseOthers } from "./dead-letter-query.ts";

const STATES = ["waiting", "running"] as const;
type State = (typeof STATES)[number];

/** Of a body that is only looked at. */
const DEFAULT_BODY_BYTES = 1024 ** 2;
const MAX_BODY_BYTES = 16 * 1024 ** 2;

/**
 * The parameters of `GET /system/queue/calls`.
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readCallPage(given: Parameters, defaultNamespace: string) {
  refuseOthers(given, ["function", "namespace", "queue", "state", "limit", "after"]);
  const ref = readFunction(given, defaultNamespace);
  const { queue } = given;
  if (queue !== undefined && !isQueueName(queue)) {
    throw new FaasError("invalid", "queue: must be up to 63 lower-case letters, digits, - and _");
  }
  const state = readState(given.state);
  const filter = { ...(ref && { function: ref }), ...(queue !== undefined && { queue }), ...(state && { state }) };
  return { filter, page: readPage(given) };
}

function readState(text: string | undefined): State | undefined {
  const state = STATES.find((known) => known === text);
  if (text !== undefined && !state) throw new FaasError("invalid", `state: must be ${STATES.join(" or ")}`);
  return state;
}

/**
 * The parameters of `GET /system/queue/call`.
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readCallName(given: Parameters): string {
  refuseOthers(given, ["id"]);
  return idIn(given);
}

/**
 * The parameters of `GET /system/queue/call/body`.
 * @throws {FaasError} `invalid`, naming the parameter and its rule
 */
export function readBodyQuestion(given: Parameters): { readonly id: string; readonly limitBytes: number } {
  refuseOthers(given, ["id", "limit"]);
  const { limit = String(DEFAULT_BODY_BYTES) } = given;
  const limitBytes = /^\d{1,9}$/.test(limit) ? Number(limit) : Number.NaN;
  if (!(limitBytes >= 1 && limitBytes <= MAX_BODY_BYTES)) {
    throw new FaasError("invalid", `limit: must be a whole number of bytes from 1 to ${MAX_BODY_BYTES}`);
  }
  return { id: idIn(given), limitBytes };
}

function idIn({ id }: Parameters): string {
  if (id === undefined) throw new FaasError("invalid", "id: must name the call");
  return id;
}
