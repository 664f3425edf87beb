import type { QueuedCall } from "../../queue/queue.ts";

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NAME = /^[-a-zA-Z_0-9]+$/;
/** With a tag or not. */
const FUNCTION = /^[-a-zA-Z_0-9]+(?:@[-a-zA-Z_0-9]+)?$/;
const PATH = /^\/[\x21-\x7e\x80-\xff]*$/;
const CALL_ID = /^[\x20-\x7e\x80-\xff]+$/;
const QUERY = /^[\x21-\x7e\x80-\xff]*$/;

/**
 * Stored data is not trusted to be what intake made: a bad row must not stop the worker, nor call something else.
 * @returns what is wrong with it, if anything
 */
export function validateStoredCall(call: QueuedCall): string | undefined {
  if (!METHOD.test(call.method)) return "the method is invalid";
  if (!FUNCTION.test(call.function) || !NAME.test(call.namespace)) return "the function's name is invalid";
  if (!PATH.test(call.path)) return "the path is invalid";
  if (!QUERY.test(call.query)) return "the query is invalid";
  const isPair = (pair: unknown) => Array.isArray(pair) && pair.every((text) => typeof text === "string");
  if (!Array.isArray(call.headers) || !call.headers.every(isPair)) return "the headers are invalid";
  if (!CALL_ID.test(call.callId)) return "the call id is invalid";
  return undefined;
}
