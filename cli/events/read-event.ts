import { randomUUID } from "node:crypto";
import { FaasError } from "../../contract/errors.ts";
import { type CloudEvent, checkedEvent, type EventValue } from "../../events/codec/cloud-event.ts";
import { encodeBatch, encodeBinary, encodeStructured } from "../../events/codec/http.ts";
import { decodeJsonBatch, decodeJsonEvent } from "../../events/codec/json.ts";
import type { EventMessage } from "../client/events-client.ts";
import { CliError } from "../errors.ts";

export const EVENT_MODES = ["binary", "structured"] as const;
export type EventMode = (typeof EVENT_MODES)[number];

/** What flags say of an event. */
export interface EventFlags {
  readonly id?: string | undefined;
  readonly type?: string | undefined;
  readonly source?: string | undefined;
  readonly subject?: string | undefined;
  readonly time?: string | undefined;
  readonly contentType?: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The source of events that say none. */
const OWN_SOURCE = "/faaslane/cli";

/**
 * An event as flags describe it. It gets an id, and the time of now, unless they say another.
 * @throws {CliError} with every rule that it breaks
 */
export function eventFromFlags(flags: EventFlags, data: Buffer | undefined, now: Date): CloudEvent {
  const { id, type, source, subject, time, contentType = data && guessType(data), attributes } = flags;
  if (type === undefined) throw new CliError("say what has happened: faaslane events send TYPE, or --type");
  return checked({
    attributes: {
      specversion: "1.0",
      id: id ?? randomUUID(),
      source: source ?? OWN_SOURCE,
      type,
      ...(subject !== undefined && { subject }),
      time: time ?? now.toISOString(),
      ...(contentType !== undefined && { datacontenttype: contentType }),
      ...attributes,
    },
    ...(data && { data }),
  });
}

/**
 * Events of a file: one in the JSON format of CloudEvents, or a list of them. Flags set attributes anew.
 * @throws {CliError} naming the attribute and its rule
 */
export function eventsFromFile(text: Buffer, flags: EventFlags, file: string): CloudEvent[] {
  const { id, type, source, subject, time, contentType, attributes } = flags;
  const named = { id, type, source, subject, time, datacontenttype: contentType };
  const given = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
  const own = { ...given, ...attributes } as Record<string, EventValue>;
  try {
    const events = /^\s*\[/.test(text.toString("utf8", 0, 1_000)) ? decodeJsonBatch(text) : [decodeJsonEvent(text)];
    if (events.length > 1 && id !== undefined) throw new CliError("--id is for one event, and the file has several");
    return events.map((event) => checkedEvent({ ...event, attributes: { ...event.attributes, ...own } }));
  } catch (error) {
    if (!(error instanceof FaasError)) throw error;
    throw new CliError(`${file}: ${error.message}`, { cause: error });
  }
}

function checked(event: CloudEvent): CloudEvent {
  try {
    return checkedEvent(event);
  } catch (error) {
    if (!(error instanceof FaasError)) throw error;
    throw new CliError(error.message, { cause: error });
  }
}

function guessType(data: Buffer): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data);
    return isJson(text) ? "application/json" : "text/plain";
  } catch {
    return "application/octet-stream";
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Events as a request has them; several are a batch, whatever the mode. */
export function messageOf(events: readonly CloudEvent[], mode: EventMode): EventMessage {
  const [event, ...others] = events;
  if (event && others.length === 0) return mode === "binary" ? encodeBinary(event) : encodeStructured(event);
  return encodeBatch(events);
}
