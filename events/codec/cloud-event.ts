import { FaasError } from "../../contract/errors.ts";

export type EventValue = string | number | boolean;

/** An event as CloudEvents 1.0 has it. Its data is bytes here: what passes through is never parsed. */
export interface CloudEvent {
  /** `specversion`, `id`, `source` and `type` always; extensions beside the others. */
  readonly attributes: Readonly<Record<string, EventValue>>;
  /** Absent where there is none, which is not the same as empty. */
  readonly data?: Buffer;
}

const REQUIRED = ["specversion", "id", "source", "type"] as const;
/** EventAttributes with rules of their own; extensions of those names have the same. */
const TEXTS = new Set<string>([...REQUIRED, "datacontenttype", "dataschema", "subject", "time"]);
const NAME = /^[a-z0-9]+$/;
/** Longer than any in use, and far below what a header may be. */
const MAX_NAME_CHARS = 64;
export const MAX_ATTRIBUTES = 200;
const RFC3339 =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;
const ABSOLUTE_URI = /^[A-Za-z][A-Za-z0-9+.-]*:[^\s]*$/;
const MEDIA_TYPE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*(;.*)?$/;

export function isAttributeName(name: string): boolean {
  return name.length <= MAX_NAME_CHARS && NAME.test(name);
}

/** The rule that such a name breaks. */
export function notAName(name: string): string {
  return `${JSON.stringify(name.slice(0, 80))} is no name of an attribute: a-z and 0-9`;
}

/** What `isWellFormed` lets through and CloudEvents does not: control characters and noncharacters. */
function hasForbiddenCharacter(text: string): boolean {
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    if (code <= 0x1f || (code >= 0x7f && code <= 0x9f)) return true;
    if ((code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe) return true;
  }
  return false;
}

/** A rule that one attribute breaks; undefined when it is sound. */
function problemOf(name: string, value: EventValue): string | undefined {
  if (!isAttributeName(name) || name === "data") return notAName(name);
  if (typeof value === "number") {
    return Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31
      ? undefined
      : `${name}: must be an integer of 32 bits`;
  }
  if (typeof value === "boolean") return TEXTS.has(name) ? `${name}: must be a text` : undefined;
  if (!value.isWellFormed() || hasForbiddenCharacter(value)) return `${name}: has a character that no text may have`;
  if (name === "time" && !RFC3339.test(value)) return "time: must be as in RFC 3339, e.g. 2026-01-31T12:00:00Z";
  if (name === "dataschema" && !ABSOLUTE_URI.test(value)) return "dataschema: must be an absolute URI";
  if (name === "datacontenttype" && !MEDIA_TYPE.test(value)) return "datacontenttype: must be a media type";
  if (name === "source" && /\s/.test(value)) return "source: must be a URI reference, which has no spaces";
  return undefined;
}

/** Every rule that an event's attributes break, a sentence each. */
export function eventProblems(attributes: Readonly<Record<string, EventValue>>): string[] {
  const missing = REQUIRED.filter((name) => attributes[name] === undefined || attributes[name] === "");
  const { specversion, ...rest } = attributes;
  return [
    ...missing.map((name) => `${name}: is required`),
    ...(specversion !== undefined && specversion !== "" && specversion !== "1.0"
      ? [`specversion: must be 1.0, not ${JSON.stringify(specversion).slice(0, 40)}`]
      : []),
    ...(Object.keys(attributes).length > MAX_ATTRIBUTES ? [`an event has at most ${MAX_ATTRIBUTES} attributes`] : []),
    ...Object.entries(rest).flatMap(([name, value]) => problemOf(name, value) ?? []),
    ...["id", "source", "type", "subject"].flatMap((name) =>
      typeof attributes[name] === "number" ? [`${name}: must be a text`] : [],
    ),
  ];
}

/** @throws {FaasError} `invalid` with every rule that it breaks */
export function checkedEvent(event: CloudEvent): CloudEvent {
  const problems = eventProblems(event.attributes);
  if (problems.length > 0) throw new FaasError("invalid", `event: ${problems.slice(0, 10).join("; ")}`);
  return event;
}

/** An attribute as text, as all bindings but JSON write it. */
export function attributeText(value: EventValue): string {
  return String(value);
}

/** Whether data of that type is a JSON value in the JSON format. An event that does not say has JSON. */
export function isJsonType(contentType: string | undefined): boolean {
  if (contentType === undefined) return true;
  const [type = ""] = contentType.toLowerCase().split(";", 1);
  return /^[^/]+\/(?:[^/]*\+)?json$/.test(type.trim());
}
