import { randomUUID } from "node:crypto";

export interface MultipartPart {
  readonly name: string;
  /** Marks the part as a file. */
  readonly filename?: string;
  readonly type: string;
  readonly content: string | AsyncIterable<Uint8Array>;
}

/** A `multipart/form-data` body that is made while it is sent. @see RFC 7578 */
export function encodeMultipart(parts: readonly MultipartPart[]): {
  readonly contentType: string;
  readonly body: AsyncIterable<Uint8Array>;
} {
  const boundary = `faaslane-${randomUUID()}`;
  return { contentType: `multipart/form-data; boundary=${boundary}`, body: encode(parts, boundary) };
}

async function* encode(parts: readonly MultipartPart[], boundary: string): AsyncGenerator<Uint8Array> {
  for (const { name, filename, type, content } of parts) {
    const file = filename === undefined ? "" : `; filename="${filename}"`;
    yield Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file}\r\nContent-Type: ${type}\r\n\r\n`,
    );
    if (typeof content === "string") yield Buffer.from(content);
    else yield* content;
    yield Buffer.from("\r\n");
  }
  yield Buffer.from(`--${boundary}--\r\n`);
}
