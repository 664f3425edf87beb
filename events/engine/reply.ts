import { FaasError } from "../../contract/errors.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";
import { decodeHttp, httpMode } from "../codec/http.ts";
import type { ReplyRule } from "../triggers/trigger.ts";
import type { EventAnswer } from "./ports.ts";

/** What an answer is worth as a reply. */
export type Reply =
  | { readonly kind: "none" }
  | { readonly kind: "event"; readonly event: CloudEvent }
  | { readonly kind: "malformed"; readonly reason: string };

const NONE: Reply = { kind: "none" };

/**
 * Reads the reply in an answer. Only one of 200 can have any: 202 says that the event is not dealt with yet.
 * @param maxBytes that a broker takes of it
 */
export function readReply({ status, headers, body, error }: EventAnswer, rule: ReplyRule, maxBytes: number): Reply {
  if (status !== 200 || rule === "none") return NONE;
  const mode = httpMode(headers);
  const claims = mode !== undefined || headers["ce-specversion"] !== undefined;
  if (!claims && (rule === "any" || (body.length === 0 && error === undefined))) return NONE;
  if (error !== undefined) return malformed(error);
  if (mode === "batch") return malformed("is a batch; a reply is one event");
  if (!claims) return malformed("has a body that is no event");
  try {
    const [event] = decodeHttp(headers, body);
    if (!event) return malformed("has no event");
    return eventBytes(event) > maxBytes ? malformed("is larger than a broker takes") : { kind: "event", event };
  } catch (failure) {
    if (failure instanceof FaasError) return malformed(failure.message);
    throw failure;
  }
}

function malformed(reason: string): Reply {
  return { kind: "malformed", reason: `malformed reply: ${reason}` };
}

/** As stores count it, without headers. */
export function eventBytes({ attributes, data }: CloudEvent): number {
  return Buffer.byteLength(JSON.stringify(attributes)) + (data?.length ?? 0);
}
