/** What a `.dockerignore` leaves out of a context. */
export interface IgnoreRules {
  /** Whether it leaves out what is at `path`, relative to the context, with slashes. */
  ignores(path: string): boolean;
  /** Whether the folder at `path`, which it leaves out, holds something that it does not. */
  hasException(path: string): boolean;
}

const LONGEST_PATTERN = 1000;
const MOST_PATTERNS = 1000;

/** What every build needs, whatever a `.dockerignore` says: it is about what goes into the image. */
export const NEVER_IGNORED = /^(Dockerfile|faaslane\.json|template\.yml|\.dockerignore)$/;

interface Rule {
  readonly pattern: string;
  readonly matches: RegExp;
  readonly isException: boolean;
}

/**
 * Docker's rules: one pattern a line, of which the last that fits decides; `!` takes an exception back, and a pattern that
 * fits a folder fits all that is in it.
 * @see https://docs.docker.com/build/concepts/context/#dockerignore-files
 * @throws {Error} for a pattern, or a number of them, that is out of all proportion
 */
export function parseIgnoreFile(text: string): IgnoreRules {
  const rules: Rule[] = [];
  for (const line of text.replace(/^\ufeff/, "").split("\n")) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    if (trimmed.length > LONGEST_PATTERN) throw new Error(`a pattern is longer than ${LONGEST_PATTERN} characters`);
    const isException = trimmed.startsWith("!");
    const pattern = normalise(isException ? trimmed.slice(1).trim() : trimmed);
    if (pattern !== "") rules.push({ pattern, matches: toRegExp(pattern), isException });
    if (rules.length > MOST_PATTERNS) throw new Error(`there are more than ${MOST_PATTERNS} patterns`);
  }
  return {
    // By the letter, as Docker has it: an exception with wildcards does not reach into what is left out.
    hasException: (path) => rules.some(({ pattern, isException }) => isException && pattern.startsWith(`${path}/`)),
    ignores(path) {
      const selfAndParents = pathsTo(path);
      let ignored = false;
      for (const { matches, isException } of rules) {
        if (isException !== ignored) continue; // it could not change anything
        if (selfAndParents.some((part) => matches.test(part))) ignored = !isException;
      }
      return ignored;
    },
  };
}

/** Without leading or trailing slashes, `.` and `..`: patterns are relative to the context, however they are written. */
function normalise(pattern: string): string {
  const parts: string[] = [];
  for (const part of pattern.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** `a/b/c` → `a`, `a/b`, `a/b/c`. */
function pathsTo(path: string): string[] {
  const parts = path.split("/");
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

function toRegExp(pattern: string): RegExp {
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    if (char === "*" && pattern[at + 1] === "*") {
      while (pattern[at + 1] === "*") at++;
      if (pattern[at + 1] === "/") at++;
      source += at === pattern.length - 1 && pattern[at] === "*" ? ".*" : "(?:.*/)?";
    } else if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "[" && pattern.indexOf("]", at + 2) > 0) {
      const end = pattern.indexOf("]", at + 2);
      source += `[${pattern.slice(at + 1, end).replace(/[\\[]/g, "\\$&")}]`;
      at = end;
    } else {
      if (char === "\\" && at + 1 < pattern.length) at++;
      source += (pattern[at] as string).replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
    }
  }
  try {
    return new RegExp(`^${source}$`);
  } catch {
    throw new Error(`${JSON.stringify(pattern)} is not a pattern`);
  }
}
