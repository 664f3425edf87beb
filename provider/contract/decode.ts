import { z } from "zod";
import { FaasError } from "./errors.ts";

/** An optional wire field: absent and `null` mean the same, as they do to Go programs. */
export function maybe<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => value ?? undefined, schema.optional()).optional();
}

export const stringMap = z.record(z.string(), z.string());

/**
 * Checks `value` against `schema`; unknown fields are dropped.
 * @param prefix what was being read, e.g. `failed to unmarshal request`; it opens the message
 * @throws {FaasError} `invalid`, naming every field that is wrong and its rule
 */
export function decode<T extends z.ZodType>(schema: T, value: unknown, prefix: string): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) =>
    issue.path.length === 0 ? issue.message : `${issue.path.map(String).join(".")}: ${issue.message}`,
  );
  throw new FaasError("invalid", `${prefix}: ${problems.join("; ")}`, { cause: result.error });
}

/**
 * Parses JSON text and checks it.
 * @throws {FaasError} `invalid` when the text is not JSON or breaks the schema
 */
export function decodeJson<T extends z.ZodType>(schema: T, text: string, prefix: string): z.output<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const why = text.trim() === "" ? "unexpected end of JSON input" : (cause as Error).message;
    throw new FaasError("invalid", `${prefix}: ${why}`, { cause });
  }
  return decode(schema, value, prefix);
}
