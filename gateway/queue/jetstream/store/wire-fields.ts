/** What is stored is nothing that this release, an earlier or a later one has written. Its message says what is wrong. */
export class UnreadableError extends Error {
  override readonly name = "UnreadableError";
}

/** It was written by a later release, in a form that this one does not know. */
export class NewerFormError extends Error {
  override readonly name = "NewerFormError";
}

/** The fields of an object as it was stored. */
export type Fields = Readonly<Record<string, unknown>>;

const NEWLINE = 10;
/** Holds the number of the form; absent for releases before there were numbers. */
export const FORM_FIELD = "z";

/**
 * Reads the line of JSON that a stored message starts with.
 * @param form the latest that this release knows
 * @returns its fields, and where what follows the line begins
 * @throws {UnreadableError} @throws {NewerFormError}
 */
export function readHead(data: Uint8Array, form: number): { readonly fields: Fields; readonly bodyAt: number } {
  const end = data.indexOf(NEWLINE);
  if (end < 0) throw new UnreadableError("it has no line of JSON");
  const fields = parseObject(Buffer.from(data.buffer, data.byteOffset, end).toString());
  const found = fields[FORM_FIELD];
  if (found !== undefined && found !== form) {
    if (!isCount(found)) throw wrong(FORM_FIELD, "the number of a form");
    if (found > form) throw new NewerFormError(`it has form ${found}, and this release knows those up to ${form}`);
  }
  return { fields, bodyAt: end + 1 };
}

/** @throws {UnreadableError} */
export function parseObject(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UnreadableError("it is no JSON", { cause });
  }
  if (!isObject(value)) throw new UnreadableError("it is no object");
  return value;
}

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function wrong(field: string, rule: string): UnreadableError {
  return new UnreadableError(`${field}: is not ${rule}`);
}

/** Reads one field. @throws {UnreadableError} */
export type Reader<T> = (fields: Fields, field: string) => T;
type Readers = Readonly<Record<string, Reader<unknown>>>;
type OptionalKeys<R extends Readers> = { [K in keyof R]: undefined extends ReturnType<R[K]> ? K : never }[keyof R];
type Read<R extends Readers> = {
  readonly [K in Exclude<keyof R, OptionalKeys<R>>]: ReturnType<R[K]>;
} & { readonly [K in OptionalKeys<R>]?: Exclude<ReturnType<R[K]>, undefined> };

/** Reads the fields of an object, by their names; those that may be absent, and are, are left out. */
export function object<R extends Readers>(readers: R): (fields: Fields) => Read<R> {
  const all = Object.entries(readers);
  return (fields) => {
    const read: Record<string, unknown> = {};
    for (const [name, reader] of all) {
      const value = reader(fields, name);
      if (value !== undefined) read[name] = value;
    }
    return read as Read<R>;
  };
}

/** An object within. */
export function inner<T>(read: (fields: Fields) => T): Reader<T> {
  return (fields, field) => {
    const value = fields[field];
    if (!isObject(value)) throw wrong(field, "an object");
    return read(value);
  };
}

/** A field that is stored under another name. */
export function at<T>(field: string, reader: Reader<T>): Reader<T> {
  return (fields) => reader(fields, field);
}

export function optional<T>(reader: Reader<T>): Reader<T | undefined> {
  return (fields, field) => (fields[field] === undefined ? undefined : reader(fields, field));
}

/** @param absent what an absent field stands for */
export function or<T>(reader: Reader<T>, absent: T): Reader<T> {
  return (fields, field) => (fields[field] === undefined ? absent : reader(fields, field));
}

/** Stored as 1; absent otherwise. */
export function flag(fields: Fields, field: string): true | undefined {
  return fields[field] === 1 ? true : undefined;
}

/** @param rule what the text is to be */
export function textThat(holds: (text: string) => boolean, rule: string): Reader<string> {
  return (fields, field) => {
    const value = text(fields, field);
    if (!holds(value)) throw wrong(field, rule);
    return value;
  };
}

export function text(fields: Fields, field: string): string {
  const value = fields[field];
  if (typeof value !== "string") throw wrong(field, "a text");
  return value;
}

/** A whole number from 0 on. */
export function count(fields: Fields, field: string): number {
  const value = fields[field];
  if (!isCount(value)) throw wrong(field, "a whole number from 0 on");
  return value;
}

/** Of times, durations. */
export function number(fields: Fields, field: string): number {
  const value = fields[field];
  // JSON has no others but those that are too large for a number.
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(field, "a number");
  return value;
}

/** Of headers. */
export function pairs(fields: Fields, field: string): readonly (readonly [string, string])[] {
  const value = fields[field];
  if (!Array.isArray(value)) throw wrong(field, "a list of pairs of texts");
  for (const pair of value as readonly unknown[]) {
    const isPair =
      Array.isArray(pair) && pair.length === 2 && typeof pair[0] === "string" && typeof pair[1] === "string";
    if (!isPair) throw wrong(field, "a list of pairs of texts");
  }
  return value as readonly (readonly [string, string])[];
}

/** One of some words. */
export function word<T extends string>(words: Readonly<Record<T, true>>): Reader<T> {
  return (fields, field) => {
    const value = fields[field];
    if (typeof value !== "string" || !Object.hasOwn(words, value)) throw wrong(field, Object.keys(words).join(", "));
    return value as T;
  };
}
