import type { IncomingMessage } from "node:http";
import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import { LineCutter } from "../../kit/line-cutter.ts";

/** The whole answer as text. @throws {FaasError} `tooLarge` over `limitBytes` */
export async function readText(response: IncomingMessage, limitBytes: number): Promise<string> {
  return (await readBytes(response, limitBytes)).toString("utf8");
}

/** The whole answer. @throws {FaasError} `tooLarge` over `limitBytes` */
export async function readBytes(response: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limitBytes) throw new FaasError("tooLarge", `the answer is larger than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * The values of an NDJSON answer as they come. A last line without its newline counts when it is whole.
 * @throws {FaasError} `upstream` for a line that is not JSON or longer than `lineLimitBytes`
 */
export async function* readNdjson(source: AsyncIterable<Uint8Array>, lineLimitBytes: number): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  const lines = new LineCutter(lineLimitBytes);
  for await (const chunk of source) {
    for (const line of cut(lines, decoder.decode(chunk, { stream: true }))) {
      if (line.trim() !== "") yield parseLine(line);
    }
  }
  if (lines.rest.trim() !== "") yield parseLine(lines.rest);
}

function cut(lines: LineCutter, piece: string): string[] {
  try {
    return lines.push(piece);
  } catch (cause) {
    throw new FaasError("upstream", "the gateway sent a line that is too long", { cause });
  }
}

function parseLine(line: string): unknown {
  try {
    return parseJson(line, "line");
  } catch (cause) {
    throw new FaasError("upstream", `the gateway sent a line that is not JSON: ${line.slice(0, 120)}`, { cause });
  }
}
