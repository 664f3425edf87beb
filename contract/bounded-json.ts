import { FaasError } from "./errors.ts";

/** What JSON from outside may be. */
export interface JsonBounds {
  /** Bytes; of text, UTF-16 code units. */
  readonly maxBytes: number;
  /** Arrays and objects in one another; `[[1]]` has 2. */
  readonly maxDepth: number;
  /** Members of all arrays and objects together; any number unless given. */
  readonly maxValues?: number;
}

/** Nothing that the platform itself reads is as deep as this. */
export const MAX_JSON_DEPTH = 100;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
/** `[` and `{`, `]` and `}`: these differ from each other in one bit, as no other characters do. */
const BRACKET_BIT = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/**
 * Checks that it is safe to parse `source`, in one look at each character; whether it is JSON at all shows only then.
 * @param what is being read, e.g. `failed to unmarshal request`; it opens the message
 * @throws {FaasError} `tooLarge` when it is too long, `invalid` when it is too deep or has too many values
 */
export function checkJsonBounds(source: string | Uint8Array, bounds: JsonBounds, what: string): void {
  const { maxBytes, maxDepth, maxValues = Number.POSITIVE_INFINITY } = bounds;
  if (source.length > maxBytes) throw new FaasError("tooLarge", `${what}: JSON must have at most ${maxBytes} bytes`);
  const excess = findExcess(source, maxDepth, maxValues);
  if (excess === "depth") {
    throw new FaasError("invalid", `${what}: JSON must be nested at most ${maxDepth} levels deep`);
  }
  if (excess === "values") throw new FaasError("invalid", `${what}: JSON must have at most ${maxValues} values`);
}

/**
 * Parses JSON from outside.
 * @param what as of {@link checkJsonBounds}
 * @throws {FaasError} as {@link checkJsonBounds} does
 * @throws {SyntaxError} when it is not JSON
 */
export function parseBoundedJson(source: string | Uint8Array, bounds: JsonBounds, what: string): unknown {
  checkJsonBounds(source, bounds, what);
  if (typeof source === "string") return JSON.parse(source);
  return JSON.parse(Buffer.from(source.buffer, source.byteOffset, source.byteLength).toString("utf8"));
}

function findExcess(source: string | Uint8Array, maxDepth: number, maxValues: number): "depth" | "values" | undefined {
  const codeAt = typeof source === "string" ? (i: number) => source.charCodeAt(i) : (i: number) => source[i];
  let depth = 0;
  // A comma stands before each value but the first of its array or object.
  let values = 1;
  let inString = false;
  for (let i = 0; i < source.length; i++) {
    const code = codeAt(i) as number;
    if (inString) {
      if (code === BACKSLASH) i++;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) inString = true;
    else if ((code | BRACKET_BIT) === OPEN) {
      if (++depth > maxDepth) return "depth";
    } else if ((code | BRACKET_BIT) === CLOSE) depth--;
    else if (code === COMMA && ++values > maxValues) return "values";
  }
  return undefined;
}
