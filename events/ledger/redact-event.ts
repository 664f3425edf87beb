import { parseJson } from "../../contract/decode.ts";
import { HIDDEN, isSecretName, redactText, redactValue } from "../../contract/redaction.ts";
import { type EventValue, isJsonType } from "../codec/cloud-event.ts";
import type { EventRecord, TriggerVerdict } from "../store/event-store.ts";

/** Shows events without secrets. */
export interface EventRedaction {
  header(name: string, value: string): string;
  attribute(name: string, value: EventValue): EventValue;
  /** Data as they may be shown; the same bytes where there is nothing to hide. */
  data(data: Buffer, contentType: string | undefined): Buffer;
}

/** Of a value, in a filter's reason. */
const QUOTED_CHARS = 80;

/** Say who acted, and are no credentials. @see the CloudEvents extension for authentication */
const NO_SECRETS = new Set(["authtype", "authid"]);

/**
 * Hides what has a name that tells of a credential, and what the platform's owner has named.
 * @param names of headers, attributes and fields of JSON data, in whatever case; a field may be a path: `customer.iban`
 */
export function buildEventRedaction(names: readonly string[]): EventRedaction {
  const own = new Set(names.map((name) => name.toLowerCase()));
  const hidden = (name: string, path = name) => own.has(name.toLowerCase()) || own.has(path.toLowerCase());
  const header = (name: string, value: string) => (hidden(name) ? HIDDEN : redactValue(name, value));
  return {
    header,
    attribute: (name, value) => {
      if (hidden(name)) return HIDDEN;
      if (NO_SECRETS.has(name)) return value;
      return typeof value === "string" ? redactValue(name, value) : isSecretName(name) ? HIDDEN : value;
    },
    data: (data, contentType) => {
      const text = textOf(data);
      if (text === undefined) return data;
      const json = isJsonType(contentType) ? jsonOf(text) : undefined;
      if (json === undefined) return same(data, text, redactText(text));
      const fields = new FieldRedaction(hidden);
      const shown = fields.redact(json.value, "", "");
      return fields.changed ? Buffer.from(JSON.stringify(shown)) : data;
    },
  };
}

/** A record as it may be shown; reasons may quote what a filter has seen. */
export function redactRecord(record: EventRecord, redaction: EventRedaction): EventRecord {
  const { attributes, data } = record.event.event;
  const shown = Object.entries(attributes).map(([name, value]) => [name, redaction.attribute(name, value)] as const);
  const secrets = shown.flatMap(([name, value]) => (value === attributes[name] ? [] : [String(attributes[name])]));
  const type = attributes.datacontenttype;
  return {
    ...record,
    event: {
      ...record.event,
      event: {
        attributes: Object.fromEntries(shown),
        ...(data && { data: redaction.data(data, type === undefined ? undefined : String(type)) }),
      },
      headers: record.event.headers.map(([name, value]) => [name, redaction.header(name, value)]),
    },
    verdicts: record.verdicts.map((verdict) => withoutThem(verdict, secrets)),
  };
}

function withoutThem(verdict: TriggerVerdict, secrets: readonly string[]): TriggerVerdict {
  if (verdict.reason === undefined) return verdict;
  // A reason quotes the beginning of a long value.
  const begun = secrets.map((secret) => secret.slice(0, QUOTED_CHARS)).filter((secret) => secret !== "");
  const quoted = begun.flatMap((secret) => [JSON.stringify(secret).slice(1, -1), secret]);
  return { ...verdict, reason: quoted.reduce((text, secret) => text.replaceAll(secret, HIDDEN), verdict.reason) };
}

function same(data: Buffer, text: string, shown: string): Buffer {
  return shown === text ? data : Buffer.from(shown);
}

function textOf(data: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return undefined;
  }
}

function jsonOf(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: parseJson(text, "data") };
  } catch {
    return undefined;
  }
}

class FieldRedaction {
  readonly #hidden: (name: string, path: string) => boolean;
  changed = false;

  constructor(hidden: (name: string, path: string) => boolean) {
    this.#hidden = hidden;
  }

  /** @param path of the names around it; places in lists do not count */
  redact(value: unknown, name: string, path: string): unknown {
    if (Array.isArray(value)) return value.map((item) => this.redact(item, name, path));
    if (typeof value === "object" && value !== null) return this.#object(value, path);
    if (typeof value !== "string") return value;
    const shown = redactValue("", value);
    if (shown !== value) this.changed = true;
    return shown;
  }

  #object(value: object, path: string): unknown {
    const entries = Object.entries(value).map(([key, field]): [string, unknown] => {
      const below = path === "" ? key : `${path}.${key}`;
      const secret = field !== null && (this.#hidden(key, below) || isSecretName(key));
      if (!secret) return [key, this.redact(field, key, below)];
      this.changed = true;
      return [key, HIDDEN];
    });
    // A field may be called `__proto__`.
    return Object.fromEntries(entries);
  }
}
