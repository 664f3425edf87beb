import { FaasError } from "../../contract/errors.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The members of a JSON object as they are written, so that what is not looked at stays byte for byte. Their values are found by
 * brackets and quotes alone: whether each is JSON shows when it is parsed.
 * @param text JSON, checked for its bounds
 * @throws {FaasError} `invalid` when it is no object, or has a member twice
 */
export function splitMembers(text: string, what: string): Map<string, string> {
  const wrong = (why: string) => new FaasError("invalid", `${what}: ${why}`);
  const members = new Map<string, string>();
  let at = skipSpace(text, 0);
  if (text[at] !== "{") throw wrong("must be a JSON object");
  at = skipSpace(text, at + 1);
  if (text[at] === "}") return endOf(text, at, members, wrong);
  for (;;) {
    const nameEnd = text[at] === '"' ? endOfString(text, at) : at;
    if (nameEnd === at) throw wrong("is not JSON");
    const name = parse(text.slice(at, nameEnd), wrong) as string;
    at = skipSpace(text, nameEnd);
    if (text[at] !== ":") throw wrong("is not JSON");
    const start = skipSpace(text, at + 1);
    const end = endOfValue(text, start);
    if (members.has(name)) throw wrong(`has ${JSON.stringify(name).slice(0, 80)} twice`);
    members.set(name, text.slice(start, end).trimEnd());
    if (text[end] === "}") return endOf(text, end, members, wrong);
    if (text[end] !== ",") throw wrong("is not JSON");
    at = skipSpace(text, end + 1);
  }
}

/** The elements of a JSON array as they are written. @throws {FaasError} `invalid` when it is no array */
export function splitElements(text: string, what: string): string[] {
  const wrong = (why: string) => new FaasError("invalid", `${what}: ${why}`);
  const elements: string[] = [];
  let at = skipSpace(text, 0);
  if (text[at] !== "[") throw wrong("must be a JSON array");
  at = skipSpace(text, at + 1);
  if (text[at] === "]") return endOf(text, at, elements, wrong);
  for (;;) {
    const end = endOfValue(text, at);
    elements.push(text.slice(at, end).trimEnd());
    if (text[end] === "]") return endOf(text, end, elements, wrong);
    if (text[end] !== ",") throw wrong("is not JSON");
    at = skipSpace(text, end + 1);
  }
}

function endOf<T>(text: string, at: number, result: T, wrong: (why: string) => FaasError): T {
  if (skipSpace(text, at + 1) !== text.length) throw wrong("has something behind its end");
  return result;
}

function parse(text: string, wrong: (why: string) => FaasError): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw wrong("is not JSON");
  }
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++;
  return at;
}

/** Behind the closing quote, or at the end of the text. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) return at + 1;
  }
  return text.length;
}

/** The comma or closing bracket that follows a value, at its own depth. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const char = text[at];
    if (char === '"') at = endOfString(text, at) - 1;
    else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") {
      if (depth === 0) return at;
      depth--;
    } else if (char === "," && depth === 0) return at;
  }
  return text.length;
}
