import { escapeRegExp } from "./glob.ts";

/** What may follow the name in `${NAME…}`. `default` is any of `:-`, `:=`, `:?`, `:+` and `=`. */
export type Operator =
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
export function applyOperator(operator: Operator, value: string, args: readonly string[]): string {
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
      return value.replace(
        globPattern(first, "lazy", (glob) => `^${glob}`),
        "",
      );
    case "##":
      return value.replace(
        globPattern(first, "greedy", (glob) => `^${glob}`),
        "",
      );
    case "%":
      // The greedy head leaves the pattern the shortest tail it can match.
      return value.replace(
        globPattern(first, "lazy", (glob) => `^(.*)${glob}$`),
        "$1",
      );
    case "%%":
      return value.replace(
        globPattern(first, "greedy", (glob) => `${glob}$`),
        "",
      );
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
      return value.replaceAll(pattern, () => replacement);
    case "/#":
      return value.startsWith(pattern) ? replacement + value.slice(pattern.length) : value;
    case "/%":
      return value.endsWith(pattern) ? value.slice(0, -pattern.length) + replacement : value;
  }
}

/** A glob (`*`, `?`, `[…]`, `\x`) as a regular expression; `*` crosses slashes. */
function globPattern(glob: string, stars: "lazy" | "greedy", wrap: (source: string) => string): RegExp {
  if (glob === "") throw new Error("there is no pattern");
  const star = stars === "lazy" ? ".*?" : ".*";
  const source = glob.replace(/\\(.)|\[[!^]?\]?[^\]]*\]|./gsu, (token, escaped: string | undefined) => {
    if (escaped !== undefined) return escapeRegExp(escaped);
    if (token === "*") return star;
    if (token === "?") return ".";
    if (token.length > 1 && token.startsWith("[")) return classPattern(token);
    return escapeRegExp(token);
  });
  try {
    return new RegExp(wrap(`(?:${source})`), "su");
  } catch (cause) {
    throw new Error("the pattern is not a valid glob", { cause });
  }
}

function classPattern(token: string): string {
  const negated = /^\[[!^]/.test(token);
  const members = token.slice(negated ? 2 : 1, -1).replace(/[\\[\]^$.*+?(){}|/]/g, "\\$&");
  return `[${negated ? "^" : ""}${members}]`;
}
