import { z } from "zod";
import { decode, maybe, stringMap } from "../decode.ts";

const phases = z.array(z.object({ name: z.string(), ms: z.number() }));

const callRow = z.object({
  id: z.string(),
  callId: maybe(z.string()),
  function: z.string(),
  namespace: z.string(),
  version: maybe(z.string()),
  replica: maybe(z.string()),
  at: z.number(),
  method: z.string(),
  path: z.string(),
  status: z.number(),
  durationMs: z.number(),
  cold: z.boolean(),
  asynchronous: z.boolean(),
  event: maybe(z.boolean()),
  phases,
  requestBytes: maybe(z.number()),
  responseBytes: maybe(z.number()),
  error: maybe(z.string()),
});
export type DecodedCall = z.output<typeof callRow>;

const callDetail = callRow.extend({
  requestHeaders: maybe(stringMap),
  responseHeaders: maybe(stringMap),
  startup: maybe(phases),
  traceId: maybe(z.string()),
});
export type DecodedCallDetail = z.output<typeof callDetail>;

const callsAnswer = z.object({
  calls: z.array(callRow),
  since: z.number(),
  leftOut: maybe(z.number()),
  next: maybe(z.string()),
});
export type DecodedCalls = z.output<typeof callsAnswer>;

/** What `GET /ui/api/calls` answers. @throws {FaasError} `invalid` */
export function decodeKeptCalls(value: unknown): DecodedCalls {
  return decode(callsAnswer, value, "calls");
}

/** What `GET /ui/api/calls/ID` answers. @throws {FaasError} `invalid` */
export function decodeKeptCall(value: unknown): DecodedCallDetail {
  return decode(callDetail, value, "call");
}
