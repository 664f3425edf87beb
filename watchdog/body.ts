import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";

export type BodyRead =
  | { readonly kind: "read"; readonly body: Buffer }
  | { readonly kind: "tooLarge" }
  /** The caller hung up before the end. */
  | { readonly kind: "aborted" };

/**
 * Reads a request's body whole.
 * @param limitBytes above it reading stops at once; what still comes is discarded, so that the answer can be read
 */
export async function readBody(req: IncomingMessage, limitBytes: number): Promise<BodyRead> {
  if (Number(req.headers["content-length"] ?? 0) > limitBytes) {
    req.resume();
    return { kind: "tooLarge" };
  }
  const read = await collectBody(req, limitBytes);
  if (read.kind === "tooLarge") req.resume();
  return read;
}

/** Reads a stream to its end or to `limitBytes`, where it is left paused. */
export function collectBody(source: Readable, limitBytes: number): Promise<BodyRead> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const finish = (read: BodyRead) => {
      source.removeListener("data", onData);
      resolve(read);
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limitBytes) {
        source.pause();
        finish({ kind: "tooLarge" });
        return;
      }
      chunks.push(chunk);
    };
    source.on("data", onData);
    source.once("end", () =>
      finish({ kind: "read", body: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks) }),
    );
    source.once("error", () => finish({ kind: "aborted" }));
    source.once("close", () => finish({ kind: "aborted" }));
  });
}
