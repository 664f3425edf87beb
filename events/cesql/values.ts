/** What an expression computes with. Integers have 32 bits. */
export type SqlValue = string | number | boolean;
export type ValueType = "string" | "integer" | "boolean";

export type EvaluationErrorKind =
  | "math"
  | "cast"
  | "missingAttribute"
  | "missingFunction"
  | "functionEvaluation"
  | "generic";

/** What went wrong while an expression was computed; there is a value all the same. */
export interface EvaluationError {
  readonly kind: EvaluationErrorKind;
  readonly message: string;
}

export interface SqlResult {
  readonly value: SqlValue;
  /** Of this and of all that it was computed from. */
  readonly errors: readonly EvaluationError[];
}

const MIN_INTEGER = -(2 ** 31);
const MAX_INTEGER = 2 ** 31 - 1;
const INTEGER_TEXT = /^[+-]?\d+$/;

export const ZERO: Readonly<Record<ValueType, SqlValue>> = { string: "", integer: 0, boolean: false };

export function isInteger(value: number): boolean {
  return Number.isInteger(value) && value >= MIN_INTEGER && value <= MAX_INTEGER;
}

export function typeOf(value: SqlValue): ValueType {
  return typeof value === "number" ? "integer" : (typeof value as "string" | "boolean");
}

export function done(value: SqlValue): SqlResult {
  return { value, errors: [] };
}

export function failed(value: SqlValue, kind: EvaluationErrorKind, message: string): SqlResult {
  return { value, errors: [{ kind, message }] };
}

/** The value as one of `type`, or its zero with an error. */
export function cast(value: SqlValue, type: ValueType): SqlResult {
  if (typeOf(value) === type) return done(value);
  if (type === "string") return done(String(value));
  if (type === "integer") {
    if (typeof value === "boolean") return done(value ? 1 : 0);
    const number = INTEGER_TEXT.test(String(value)) ? Number(value) : Number.NaN;
    return isInteger(number) ? done(number) : failed(0, "cast", `${JSON.stringify(value)} is no integer of 32 bits`);
  }
  if (typeof value === "number") return done(value !== 0);
  const word = String(value).toLowerCase();
  if (word === "true" || word === "false") return done(word === "true");
  return failed(false, "cast", `${JSON.stringify(value)} is neither true nor false`);
}
