import { z } from "zod";
import { MAX_JSON_DEPTH, parseBoundedJson } from "./bounded-json.ts";
import { listProblems } from "./clip.ts";
import { FaasError } from "./errors.ts";

/** An optional wire field: absent and `null` mean the same, as they do to Go programs. */
export function maybe<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => value ?? undefined, schema.optional()).optional();
}

export const stringMap = z.record(z.string(), z.string());

/** A map or list of at most `most` entries, which are counted before any of them is looked at. */
export function atMost<T extends z.ZodType>(most: number, schema: T) {
  const counted = z.custom<unknown>((value) => sizeOf(value) <= most, {
    error: `must have at most ${most} entries`,
    abort: true,
  });
  return counted.pipe(schema as z.ZodType<z.output<T>, unknown>);
}

function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return typeof value === "object" && value !== null ? Object.keys(value).length : 0;
}

/**
 * Checks `value` against `schema`; unknown fields are dropped.
 * @param prefix what was being read, e.g. `failed to unmarshal request`; it opens the message
 * @throws {FaasError} `invalid`, naming every field that is wrong and its rule
 */
export function decode<T extends z.ZodType>(schema: T, value: unknown, prefix: string): z.output<T> {
  const result = schema.safeParse(value, { error: typeRule });
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) =>
    issue.path.length === 0 ? issue.message : `${issue.path.map(String).join(".")}: ${issue.message}`,
  );
  throw new FaasError("invalid", `${prefix}: ${listProblems(problems)}`, { cause: result.error });
}

/** Kinds of values, as their authors call them. */
const KINDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "an object",
  record: "an object",
  array: "a list",
};

/** The rule of a type that has no words of its own. */
function typeRule({ code, input, ...rule }: z.core.$ZodRawIssue): string | undefined {
  if (code !== "invalid_type") return undefined;
  const kind = KINDS[String(rule.expected)];
  if (input === undefined) return "is required";
  return kind === undefined ? undefined : `must be ${kind}`;
}

/**
 * Parses JSON text and checks it.
 * @throws {FaasError} `invalid` when the text is not JSON or breaks the schema
 */
export function decodeJson<T extends z.ZodType>(schema: T, text: string, prefix: string): z.output<T> {
  return decode(schema, parseJson(text, prefix), prefix);
}

/**
 * Parses JSON text from outside, whose length is bounded already.
 * @throws {FaasError} `invalid` when it is not JSON, too deep, or has too many values
 */
export function parseJson(text: string, prefix: string, maxValues = Number.POSITIVE_INFINITY): unknown {
  try {
    return parseBoundedJson(text, { maxBytes: text.length, maxDepth: MAX_JSON_DEPTH, maxValues }, prefix);
  } catch (cause) {
    if (cause instanceof FaasError) throw cause;
    const why = text.trim() === "" ? "unexpected end of JSON input" : (cause as Error).message;
    throw new FaasError("invalid", `${prefix}: ${why}`, { cause });
  }
}
