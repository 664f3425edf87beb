import { isUtf8 } from "node:buffer";
import { FaasError } from "../../../contract/errors.ts";
import { JsonCheck, type JsonProblem } from "./json-check.ts";

/** What a batch of calls may hold. */
export interface BatchLimits {
  readonly maxLines: number;
  readonly maxLineBytes: number;
}

export interface BatchLine {
  /** Counts from 1, as an editor does. */
  readonly number: number;
  /** A view of the body, without the line end. */
  readonly line: Uint8Array;
}

/** Arrays and objects in one another in a line; functions in many languages read no more. */
export const MAX_LINE_DEPTH = 1000;

/** Work on so many bytes takes some two milliseconds; then others have their turn. */
const SLICE_BYTES = 256 * 1024;

const NEW_LINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * The lines of an NDJSON body. Lines with nothing but blanks are left out.
 * @returns between them undefined, wherever a look at a large body can be interrupted
 */
export function* batchLines(body: Uint8Array): Generator<BatchLine | undefined, void> {
  let number = 1;
  for (let start = 0, at = 0, sliceEnd = SLICE_BYTES; at < body.length; ) {
    const byte = body[at];
    if (byte === NEW_LINE) {
      number++;
      start = ++at;
    } else if (byte === SPACE || byte === TAB || byte === CARRIAGE_RETURN) at++;
    else {
      const newLine = body.indexOf(NEW_LINE, at);
      const next = newLine < 0 ? body.length : newLine;
      const end = body[next - 1] === CARRIAGE_RETURN ? next - 1 : next;
      yield { number, line: body.subarray(start, end) };
      number++;
      start = at = next + 1;
    }
    if (at < sliceEnd) continue;
    yield undefined;
    sliceEnd = at + SLICE_BYTES;
  }
}

/**
 * Checks that an NDJSON body can be taken apart into the bodies of calls.
 * @returns how many there are, at least one; before that, undefined wherever it can be interrupted
 * @throws {FaasError} `invalid` for no line at all or one that is not JSON in UTF-8, `tooLarge` for too many or too
 *   long ones; the message names the line
 */
export function* checkBatch(body: Uint8Array, { maxLines, maxLineBytes }: BatchLimits): Generator<undefined, number> {
  const check = new JsonCheck(MAX_LINE_DEPTH);
  let size = 0;
  let checked = 0;
  for (const found of batchLines(body)) {
    if (!found) {
      yield;
      continue;
    }
    const { number, line } = found;
    if (size === maxLines) throw new FaasError("tooLarge", `a batch takes at most ${maxLines} lines`);
    if (line.length > maxLineBytes) {
      throw new FaasError("tooLarge", `line ${number} of the batch is longer than ${maxLineBytes} bytes`);
    }
    let problem: JsonProblem | undefined;
    check.reset();
    for (let at = 0; at < line.length && problem === undefined; ) {
      const end = endOfPiece(line, at, SLICE_BYTES - checked);
      problem = isUtf8(line.subarray(at, end)) ? check.add(line, at, end) : "syntax";
      checked += end - at;
      at = end;
      if (checked < SLICE_BYTES) continue;
      checked = 0;
      yield;
    }
    problem ??= check.end();
    if (problem === "depth") {
      throw new FaasError("invalid", `line ${number} of the batch is nested deeper than ${MAX_LINE_DEPTH} levels`);
    }
    if (problem) throw new FaasError("invalid", `line ${number} of the batch is not JSON in UTF-8`);
    size++;
  }
  if (size === 0) throw new FaasError("invalid", "a batch needs at least one line");
  return size;
}

const LONGEST_CHARACTER = 4;

/** After some `bytes` more, but between two characters. */
function endOfPiece(line: Uint8Array, start: number, bytes: number): number {
  const end = start + Math.max(2 * LONGEST_CHARACTER, bytes);
  if (end >= line.length) return line.length;
  for (let at = end; at > end - LONGEST_CHARACTER; at--) if (((line[at] as number) & 0xc0) !== 0x80) return at;
  return end; // no character is that long, as a look at the piece will show
}

type Headers = readonly (readonly [name: string, value: string])[];

/** Speak of the body of the whole batch, or are for the gateway alone. */
const OF_THE_WHOLE: ReadonlySet<string> = new Set([
  "content-type",
  "content-length",
  "content-encoding",
  "content-md5",
  "content-digest",
  "digest",
  "x-batch",
  "x-batch-id",
  "x-batch-index",
  "x-callback-url",
  "x-delay",
  "x-not-after",
  "x-idempotency-key",
]);

/** Those of a batch that each of its calls gets. */
export function memberHeaders(headers: Headers): Headers {
  return headers.filter(([name]) => !OF_THE_WHOLE.has(name.toLowerCase()));
}

/** Bytes of headers, path and query that a batch may have, times its lines: they are stored with each of its calls. */
export const MAX_COPIED_BYTES = 16 * 1024 ** 2;

/** What every call of a batch has of it. */
export interface BatchHead {
  readonly headers: Headers;
  readonly path: string;
  readonly query: string;
}

/** @throws {FaasError} `tooLarge` when what the calls of a batch have in common is too much in all */
export function checkCopies({ headers, path, query }: BatchHead, size: number): void {
  const bytes = memberHeaders(headers).reduce(
    (sum, [name, value]) => sum + name.length + value.length,
    path.length + query.length,
  );
  if (bytes * size <= MAX_COPIED_BYTES) return;
  throw new FaasError(
    "tooLarge",
    `each call of a batch gets its headers, path and query, here ${bytes} bytes: ` +
      `times ${size} lines they must be at most ${MAX_COPIED_BYTES}`,
  );
}
