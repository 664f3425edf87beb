import { isUtf8 } from "node:buffer";
import { FaasError } from "../../provider/contract/errors.ts";

/** What a batch of calls may hold. */
export interface BatchLimits {
  readonly maxLines: number;
  readonly maxLineBytes: number;
}

const NEW_LINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * The lines of an NDJSON body, each without its line end. Lines with nothing but blanks are left out.
 * @returns views of `body`, not copies
 */
export function* batchLines(body: Uint8Array): Generator<{ readonly number: number; readonly line: Uint8Array }> {
  for (let start = 0, number = 1; start < body.length; number++) {
    const newLine = body.indexOf(NEW_LINE, start);
    const next = newLine < 0 ? body.length : newLine;
    const end = body[next - 1] === CARRIAGE_RETURN && next > start ? next - 1 : next;
    const line = body.subarray(start, end);
    if (!line.every((byte) => byte === SPACE || byte === TAB || byte === CARRIAGE_RETURN)) yield { number, line };
    start = next + 1;
  }
}

/**
 * Takes an NDJSON body apart into the bodies of its calls, which are passed on as they are.
 * @returns at least one line, in order; views of `body`
 * @throws {FaasError} `invalid` for no line at all or one that is not JSON in UTF-8, `tooLarge` for too many or too
 *   long ones; the message names the line, counted from 1 as an editor does
 */
export function splitBatch(body: Uint8Array, { maxLines, maxLineBytes }: BatchLimits): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (const { number, line } of batchLines(body)) {
    if (lines.length === maxLines) throw new FaasError("tooLarge", `a batch takes at most ${maxLines} lines`);
    if (line.length > maxLineBytes) {
      throw new FaasError("tooLarge", `line ${number} of the batch is longer than ${maxLineBytes} bytes`);
    }
    if (!isJson(line)) throw new FaasError("invalid", `line ${number} of the batch is not JSON in UTF-8`);
    lines.push(line);
  }
  if (lines.length === 0) throw new FaasError("invalid", "a batch needs at least one line");
  return lines;
}

function isJson(line: Uint8Array): boolean {
  if (!isUtf8(line)) return false;
  try {
    JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString("utf8"));
    return true;
  } catch {
    return false;
  }
}
