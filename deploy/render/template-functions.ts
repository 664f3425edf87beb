import { stringify } from "yaml";
import { type Functions, isTruthy } from "./evaluate-template.ts";
import { TemplateError } from "./parse-template.ts";

/** Goes by Go's `%v`, as far as texts, numbers and booleans go. */
const text = (value: unknown) => (value === undefined || value === null ? "" : String(value));

function indent(width: unknown, value: unknown): string {
  const spaces = " ".repeat(Number(width));
  return text(value)
    .split("\n")
    .map((line) => spaces + line)
    .join("\n");
}

const compare = (a: unknown, b: unknown) => (a === b ? 0 : (a as number) < (b as number) ? -1 : 1);

function fail(message: unknown): never {
  throw new TemplateError(text(message));
}

/** Functions of Helm that the chart uses, but `include`, which needs the templates. */
export const FUNCTIONS: Functions = {
  and: (...values) => values.find((value) => !isTruthy(value)) ?? (values.every(isTruthy) ? values.at(-1) : undefined),
  or: (...values) => values.find(isTruthy) ?? values.at(-1),
  ternary: (yes, no, test) => (isTruthy(test) ? yes : no),
  join: (separator, values) => (values as readonly unknown[]).map(text).join(text(separator)),
  not: (value) => !isTruthy(value),
  eq: (first, ...others) => others.some((other) => compare(first, other) === 0),
  ne: (a, b) => compare(a, b) !== 0,
  gt: (a, b) => compare(a, b) > 0,
  default: (fallback, value) => (isTruthy(value) ? value : fallback),
  quote: (value) => JSON.stringify(text(value)),
  add: (...values) => values.map(Number).reduce((a, b) => a + b, 0),
  regexMatch: (pattern, value) => new RegExp(text(pattern)).test(text(value)),
  int: (value) => Math.trunc(Number(value)),
  printf: (format, ...values) => {
    const rest = [...values];
    return text(format).replace(/%[sdv]/g, () => text(rest.shift()));
  },
  trimSuffix: (suffix, value) => {
    const whole = text(value);
    return whole.endsWith(text(suffix)) ? whole.slice(0, whole.length - text(suffix).length) : whole;
  },
  b64enc: (value) => Buffer.from(text(value)).toString("base64"),
  nindent: (width, value) => `\n${indent(width, value)}`,
  toYaml: (value) => stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }).trimEnd(),
  fail,
  // Nothing is installed where a chart is only rendered.
  lookup: () => ({}),
  // Rendering twice has to give the same, so what is random is refused rather than made up.
  randAlphaNum: () => fail("a random value cannot be rendered: set it, or leave it to an installation"),
};
