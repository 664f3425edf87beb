import {
  cast,
  done,
  type EvaluationError,
  failed,
  isInteger,
  type SqlResult,
  type SqlValue,
  typeOf,
  type ValueType,
  ZERO,
} from "./values.ts";

/** What is computed of an event's attributes. */
export type Evaluate = (attributes: Readonly<Record<string, SqlValue>>) => SqlResult;

/** An operand that has gone wrong makes the operation yield the zero of its type, with the operand's errors. */
function zeroOf(type: ValueType, ...errors: (readonly EvaluationError[])[]): SqlResult {
  return { value: ZERO[type], errors: errors.flat() };
}

function withOperand(
  operand: Evaluate,
  type: ValueType,
  returns: ValueType,
  apply: (value: SqlValue) => SqlResult,
): Evaluate {
  return (attributes) => {
    const given = operand(attributes);
    if (given.errors.length > 0) return zeroOf(returns, given.errors);
    const { value, errors } = cast(given.value, type);
    return errors.length > 0 ? zeroOf(returns, errors) : apply(value);
  };
}

export function negate(operand: Evaluate): Evaluate {
  return withOperand(operand, "integer", "integer", (value) => bounded(-(value as number)));
}

export function not(operand: Evaluate): Evaluate {
  return withOperand(operand, "boolean", "boolean", (value) => done(!value));
}

function bounded(number: number): SqlResult {
  // There is no -0 among integers.
  return isInteger(number) ? done(number + 0) : failed(0, "math", "the result does not fit in 32 bits");
}

const ARITHMETIC: Readonly<Record<string, (left: number, right: number) => number>> = {
  "+": (left, right) => left + right,
  "-": (left, right) => left - right,
  "*": (left, right) => left * right,
  "/": (left, right) => Math.trunc(left / right),
  "%": (left, right) => left % right,
};
const COMPARISON: Readonly<Record<string, (left: number, right: number) => boolean>> = {
  "<": (left, right) => left < right,
  "<=": (left, right) => left <= right,
  ">": (left, right) => left > right,
  ">=": (left, right) => left >= right,
};

/** Both sides as values; the right one is not computed when the left one has gone wrong. */
function withBoth(
  left: Evaluate,
  right: Evaluate,
  returns: ValueType,
  apply: (left: SqlValue, right: SqlValue) => SqlResult,
): Evaluate {
  return (attributes) => {
    const first = left(attributes);
    if (first.errors.length > 0) return zeroOf(returns, first.errors);
    const second = right(attributes);
    if (second.errors.length > 0) return zeroOf(returns, second.errors);
    return apply(first.value, second.value);
  };
}

function integers(returns: ValueType, apply: (left: number, right: number) => SqlResult) {
  return (left: SqlValue, right: SqlValue): SqlResult => {
    const first = cast(left, "integer");
    const second = cast(right, "integer");
    if (first.errors.length + second.errors.length > 0) return zeroOf(returns, first.errors, second.errors);
    return apply(first.value as number, second.value as number);
  };
}

/** `=`, `!=`, `<>`, `<`, `<=`, `>`, `>=`, `+`, `-`, `*`, `/` and `%`. */
export function binary(symbol: string, left: Evaluate, right: Evaluate): Evaluate {
  const compute = ARITHMETIC[symbol];
  if (compute) {
    const apply = (a: number, b: number) =>
      b === 0 && (symbol === "/" || symbol === "%")
        ? failed(0, "math", `${symbol}: the divisor is 0`)
        : bounded(compute(a, b));
    return withBoth(left, right, "integer", integers("integer", apply));
  }
  const compare = COMPARISON[symbol];
  if (compare)
    return withBoth(
      left,
      right,
      "boolean",
      integers("boolean", (a, b) => done(compare(a, b))),
    );
  const wanted = symbol === "=";
  return withBoth(left, right, "boolean", (a, b) => {
    const { value, errors } = cast(a, typeOf(b));
    return errors.length > 0 ? zeroOf("boolean", errors) : done((value === b) === wanted);
  });
}

/** `AND` and `OR` leave their right side alone when the left one decides. */
export function logic(word: "AND" | "OR" | "XOR", left: Evaluate, right: Evaluate): Evaluate {
  const first = withOperand(left, "boolean", "boolean", done);
  const second = withOperand(right, "boolean", "boolean", done);
  if (word === "XOR") return withBoth(first, second, "boolean", (a, b) => done(a !== b));
  const decides = word === "OR";
  return (attributes) => {
    const begun = first(attributes);
    return begun.errors.length > 0 || begun.value === decides ? begun : second(attributes);
  };
}

/** Elements are taken as values of the left side's type. */
export function isIn(left: Evaluate, elements: readonly Evaluate[], negated: boolean): Evaluate {
  return (attributes) => {
    const given = left(attributes);
    if (given.errors.length > 0) return zeroOf("boolean", given.errors);
    const type = typeOf(given.value);
    const found: SqlValue[] = [];
    for (const element of elements) {
      const { value, errors } = element(attributes);
      if (errors.length > 0) return zeroOf("boolean", errors);
      const as = cast(value, type);
      if (as.errors.length > 0) return zeroOf("boolean", as.errors);
      found.push(as.value);
    }
    return done(found.includes(given.value) !== negated);
  };
}

/** @param pattern with `%` for any text, `_` for a character, and `\` before either to mean itself */
export function like(left: Evaluate, pattern: string, negated: boolean): Evaluate {
  const parts = readPattern(pattern);
  return withOperand(left, "string", "boolean", (value) =>
    done(matches(Array.from(value as string), parts) !== negated),
  );
}

type PatternPart = { readonly char: string } | "any" | "one";

function readPattern(pattern: string): PatternPart[] {
  const parts: PatternPart[] = [];
  const characters = Array.from(pattern);
  for (let at = 0; at < characters.length; at++) {
    const char = characters[at] as string;
    const next = characters[at + 1];
    if (char === "\\" && (next === "%" || next === "_")) parts.push({ char: characters[++at] as string });
    else parts.push(char === "%" ? "any" : char === "_" ? "one" : { char });
  }
  return parts;
}

/** Goes back to the last `%` only, so that it takes at most as many steps as text and pattern are long, multiplied. */
function matches(text: readonly string[], parts: readonly PatternPart[]): boolean {
  let at = 0;
  let part = 0;
  let lastAny = -1;
  let resumeAt = 0;
  while (at < text.length) {
    const wanted = parts[part];
    if (wanted === "any") {
      lastAny = part++;
      resumeAt = at;
    } else if (wanted === "one" || (wanted !== undefined && wanted.char === text[at])) {
      at++;
      part++;
    } else if (lastAny < 0) return false;
    else {
      at = ++resumeAt;
      part = lastAny + 1;
    }
  }
  while (parts[part] === "any") part++;
  return part === parts.length;
}
