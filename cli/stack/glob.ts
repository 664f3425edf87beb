/** A part of a glob: any number of characters, or one that it takes. */
type Token = "*" | ((char: string) => boolean);

/** Longer than anybody writes; matching takes the product of both lengths. */
const MAX_GLOB_CHARS = 1_000;

/**
 * How much of the beginning of `text` a glob (`*`, `?`, `[…]`, `\x`) can match; `*` crosses slashes.
 * @param chars the text's characters
 * @param want which, where there are several
 * @returns the number of characters; undefined when it matches no beginning
 * @throws {Error} with the rule that `glob` breaks
 */
export function matchStart(glob: string, chars: readonly string[], want: "shortest" | "longest"): number | undefined {
  return reach(parseGlob(glob), chars, want);
}

/** How much of the end of `text`, as of {@link matchStart}. */
export function matchEnd(glob: string, chars: readonly string[], want: "shortest" | "longest"): number | undefined {
  return reach(parseGlob(glob).reverse(), chars.toReversed(), want);
}

/** Whether the whole of `text` is matched by `glob`, in which only `*` is special. */
export function matchesStars(text: string, glob: string): boolean {
  const [first = "", ...others] = glob.split("*");
  const last = others.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let from = first.length;
  for (const part of others) {
    const at = text.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return from + last.length <= text.length;
}

/** Follows all ways to match at once: their number does not grow with that of the stars. */
function reach(tokens: readonly Token[], chars: readonly string[], want: "shortest" | "longest"): number | undefined {
  let ends = new Uint8Array(chars.length + 1);
  ends[0] = 1;
  for (const token of tokens) {
    const next = new Uint8Array(chars.length + 1);
    if (token === "*") next.fill(1, ends.indexOf(1));
    else for (const [at, char] of chars.entries()) if (ends[at] === 1 && token(char)) next[at + 1] = 1;
    if (!next.includes(1)) return undefined;
    ends = next;
  }
  return want === "shortest" ? ends.indexOf(1) : ends.lastIndexOf(1);
}

function parseGlob(glob: string): Token[] {
  if (glob === "") throw new Error("there is no pattern");
  if (glob.length > MAX_GLOB_CHARS) throw new Error(`the pattern has more than ${MAX_GLOB_CHARS} characters`);
  const parts = glob.match(/\\.|\[[!^]?\]?[^\]]*\]|./gsu) ?? [];
  return parts.map((part) => {
    if (part === "*") return "*";
    if (part === "?") return () => true;
    if (part.length > 1 && part.startsWith("[")) return parseClass(part);
    const literal = part.length > 1 && part.startsWith("\\") ? part.slice(1) : part;
    return (char) => char === literal;
  });
}

function parseClass(part: string): (char: string) => boolean {
  const negated = /^\[[!^]/.test(part);
  const members = part.slice(negated ? 2 : 1, -1).replace(/[\\[\]^$.*+?(){}|/]/g, "\\$&");
  try {
    const pattern = new RegExp(`^[${negated ? "^" : ""}${members}]$`, "su");
    return (char) => pattern.test(char);
  } catch (cause) {
    throw new Error("the pattern is not a valid glob", { cause });
  }
}
