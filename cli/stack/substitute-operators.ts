import { matchEnd, matchStart } from "./glob.ts";

/** What may follow the name in `${NAME…}`. `default` is any of `:-`, `:=`, `:?`, `:+` and `=`. */
export type SubstitutionOperator =
  | "default"
  | "substring"
  | "^"
  | "^^"
  | ","
  | ",,"
  | "#"
  | "##"
  | "%"
  | "%%"
  | "/"
  | "//"
  | "/#"
  | "/%";

/**
 * @param args as many as the operator was written with
 * @throws {Error} with the rule that was broken
 */
export function applyOperator(operator: SubstitutionOperator, value: string, args: readonly string[]): string {
  const [first = "", second] = args;
  switch (operator) {
    case "default":
      return value === "" ? first : value;
    case "substring":
      return substring(value, first, second);
    case "^":
      return mapFirst(value, (char) => char.toUpperCase());
    case "^^":
      return value.toUpperCase();
    case ",":
      return mapFirst(value, (char) => char.toLowerCase());
    case ",,":
      return value.toLowerCase();
    case "#":
    case "##": {
      const chars = [...value];
      return chars.slice(matchStart(first, chars, operator === "#" ? "shortest" : "longest") ?? 0).join("");
    }
    case "%":
    case "%%": {
      const chars = [...value];
      const tail = matchEnd(first, chars, operator === "%" ? "shortest" : "longest") ?? 0;
      return chars.slice(0, chars.length - tail).join("");
    }
    default:
      return replace(operator, value, first, second);
  }
}

function mapFirst(value: string, change: (char: string) => string): string {
  const [first = "", ...rest] = value;
  return change(first) + rest.join("");
}

/** Counts characters, not bytes; a negative position counts from the end. */
function substring(value: string, positionText: string, lengthText: string | undefined): string {
  const chars = [...value];
  if (!/^[ ]?-?\d+$/.test(positionText)) throw new Error("the position must be a whole number");
  const position = Number(positionText);
  const start = position < 0 ? Math.max(0, chars.length + position) : position;
  if (lengthText === undefined) return chars.slice(start).join("");
  if (!/^\d+$/.test(lengthText)) throw new Error("the length must be a whole number that is not negative");
  return chars.slice(start, start + Number(lengthText)).join("");
}

function replace(
  operator: "/" | "//" | "/#" | "/%",
  value: string,
  pattern: string,
  replacement: string | undefined,
): string {
  if (pattern === "") throw new Error("there is nothing to look for");
  if (replacement === undefined) throw new Error("a / must stand between what is replaced and its replacement");
  switch (operator) {
    case "/":
      return value.replace(pattern, () => replacement);
    case "//":
      return replaceAll(value, pattern, replacement);
    case "/#":
      return value.startsWith(pattern) ? replacement + value.slice(pattern.length) : value;
    case "/%":
      return value.endsWith(pattern) ? value.slice(0, -pattern.length) + replacement : value;
  }
}

/** Not more than one variable is ever given. */
const MAX_RESULT_CHARS = 4 * 1024 ** 2;

function replaceAll(value: string, pattern: string, replacement: string): string {
  const parts = value.split(pattern);
  if (parts.length * replacement.length > MAX_RESULT_CHARS) throw new Error("the text becomes too long");
  return parts.join(replacement);
}
