import { BINARY, buildHead, hasContent, TEXT } from "./reply.mjs";

/**
 * Sends what comes bit by bit, at the caller's pace. Rejects when it fails, before or after its head was sent; what it comes
 * from is given up with it, and when the caller leaves.
 */
export async function sendStream(
  res,
  status,
  headers,
  { source, type, length, status: ownStatus, headers: ownHeaders },
) {
  const stream = await openSource(source);
  const close = () => stream.destroy?.();
  res.once("close", close);
  try {
    const code = ownStatus ?? status;
    const { head, hasType } = buildHead(code, { ...headers, ...ownHeaders }, false);
    const sendHead = (first) => {
      if (!hasType && (type ?? first) !== undefined) {
        head["Content-Type"] = type ?? (typeof first === "string" ? TEXT : BINARY);
      }
      if (length !== undefined) head["Content-Length"] = length;
      res.writeHead(code, head);
    };
    if (!hasContent(code, res.req.method)) {
      sendHead();
      await giveUp(stream);
      res.end();
      return;
    }
    // The first event of a stream whose type is known may be long in coming; its head is news by itself.
    if (hasType || type !== undefined) {
      sendHead();
      res.flushHeaders();
    }
    for await (const chunk of stream) {
      const bytes = toBytes(chunk);
      if (!res.headersSent) sendHead(chunk);
      if (res.destroyed) return; // ends the loop, and with it the source
      if (bytes.length > 0 && !res.write(bytes)) await drained(res);
    }
    if (!res.headersSent) sendHead();
    res.end();
  } finally {
    res.off("close", close);
  }
}

/** A web stream cannot be given up while it is read, so it is read as one of Node's. */
async function openSource(source) {
  if (source[Symbol.toStringTag] !== "ReadableStream") return source;
  const { Readable } = await import("node:stream");
  return Readable.fromWeb(source);
}

async function giveUp(stream) {
  if (typeof stream.destroy === "function") stream.destroy();
  else await stream.return?.();
}

function toBytes(chunk) {
  if (typeof chunk === "string" || chunk instanceof Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return Buffer.from(chunk);
  throw new TypeError(`a part of a stream must be text or bytes, not ${chunk === null ? "null" : typeof chunk}`);
}

function drained(res) {
  return new Promise((resolve) => {
    const done = () => {
      res.off("drain", done);
      res.off("close", done);
      resolve();
    };
    res.once("drain", done);
    res.once("close", done);
  });
}
