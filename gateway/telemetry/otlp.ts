import type { Attributes, AttributeValue, Span } from "./span.ts";

/** Who the spans are of. */
export interface Resource {
  readonly attributes: Attributes;
  /** Release of this program. */
  readonly release: string;
}

/**
 * A request to export traces, in the JSON encoding.
 * @see https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
export function encodeSpans({ attributes, release }: Resource, spans: readonly Span[]): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: encodeAttributes(attributes) },
        scopeSpans: [{ scope: { name: "faaslane", version: release }, spans: spans.map(encodeSpan) }],
      },
    ],
  });
}

const FAILED = 2;

function encodeSpan(span: Span): object {
  const { traceId, spanId, parentId, state, name, kind, events, links } = span;
  return {
    traceId,
    spanId,
    ...(parentId !== undefined && { parentSpanId: parentId }),
    ...(state !== "" && { traceState: state }),
    name,
    kind,
    startTimeUnixNano: nanoseconds(span.start),
    // A clock that was set back must not make it end before it began.
    endTimeUnixNano: nanoseconds(Math.max(span.start, span.end)),
    attributes: encodeAttributes(span.attributes),
    ...(events && { events: events.map((event) => ({ name: event.name, timeUnixNano: nanoseconds(event.at) })) }),
    ...(links && { links }),
    ...(span.failed && { status: { code: FAILED } }),
  };
}

/** A number as text: it has more digits than JavaScript's. */
function nanoseconds(ms: number): string {
  const whole = Math.floor(ms);
  return `${whole}${String(Math.floor((ms - whole) * 1e6)).padStart(6, "0")}`;
}

function encodeAttributes(attributes: Attributes): object[] {
  const encoded: object[] = [];
  for (const key in attributes) {
    const value = attributes[key];
    if (value !== undefined) encoded.push({ key, value: encodeValue(value) });
  }
  return encoded;
}

function encodeValue(value: AttributeValue): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
