import { type CloudEvent, type EventValue, eventProblems } from "../codec/cloud-event.ts";

/** A message from outside that is no event itself. */
export interface PlainMessage {
  readonly type: string;
  readonly source: string;
  readonly id: string;
  readonly subject?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly timeMs?: number | undefined;
  readonly contentType?: string | undefined;
  /** Attributes that the message gives its event; those that cannot be ones are left out. */
  readonly extensions?: Readonly<Record<string, string>>;
  readonly data?: Buffer | undefined;
}

const MAX_EXTENSIONS = 50;
const MAX_TEXT_CHARS = 4096;
/** The latest that has four digits for its year. */
const LAST_MS = 253_402_300_799_999;

/** The message as an event. What it says of itself and cannot be an attribute is left out: the data is what counts. */
export function eventOfMessage(message: PlainMessage): CloudEvent {
  const { type, source, id, subject, timeMs, contentType, extensions = {}, data } = message;
  const attributes: Record<string, EventValue> = {
    specversion: "1.0",
    id: attributeOf(id) ?? encodeURIComponent(id.toWellFormed()),
    source: uriOf(source),
    type,
  };
  const own: Readonly<Record<string, string | undefined>> = {
    subject,
    time: timeMs !== undefined && timeMs > 0 && timeMs <= LAST_MS ? new Date(timeMs).toISOString() : undefined,
    datacontenttype: contentType,
  };
  for (const [name, text] of [...Object.entries(own), ...Object.entries(extensions).slice(0, MAX_EXTENSIONS)]) {
    if (text === undefined || text === "" || text.length > MAX_TEXT_CHARS || Object.hasOwn(attributes, name)) continue;
    if (eventProblems({ ...attributes, [name]: text }).length === 0) attributes[name] = text;
  }
  return { attributes, ...(data !== undefined && { data }) };
}

function attributeOf(text: string): string | undefined {
  return text !== "" && eventProblems({ specversion: "1.0", id: text, source: "/", type: "t" }).length === 0
    ? text
    : undefined;
}

/** What a source may not have is written in percent. */
export function uriOf(text: string): string {
  return text.toWellFormed().replace(/[^\x21-\x7e]|[<>"`{}|\\^]/gu, (char) => encodeURIComponent(char));
}

/** Where events of a source come from, as a URI: `/apis/v1/namespaces/NS/kafkasources/NAME#TOPIC`. */
export function sourceUri(kind: string, { namespace, name }: { namespace: string; name: string }, of: string): string {
  return `/apis/v1/namespaces/${namespace}/${kind}/${name}#${encodeURIComponent(of.toWellFormed())}`;
}
