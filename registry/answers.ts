import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { shortageOf } from "../contract/shortages.ts";
import type { Logger } from "../kit/log.ts";
import type { OpenBlob } from "./blob-store.ts";
import { formatFailure, RegistryFailure } from "./registry-failure.ts";

/** Bytes of a file that are read at a time. */
const READ_BYTES = 256 * 1024;

export function sendJsonText(res: ServerResponse, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  res.writeHead(200, { "Content-Type": "application/json", "Content-Length": body.length }).end(body);
}

/** Any failure, in the distribution's format. What nobody foresaw is logged and stays private. */
export function sendFailure(req: IncomingMessage, res: ServerResponse, thrown: unknown, log: Logger): void {
  const failure = toFailure(thrown);
  if (failure.status === 500) log.error({ err: thrown, method: req.method }, "registry request failed");
  if (failure.status === 507) log.warn({ err: thrown }, "registry request failed: out of resources");
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const body = Buffer.from(formatFailure(failure));
  res.writeHead(failure.status, {
    "Content-Type": "application/json",
    "Content-Length": body.length,
    ...failure.headers,
    // The rest of what is being sent is not waited for.
    ...(!req.complete && { Connection: "close" }),
  });
  res.end(req.method === "HEAD" ? undefined : body);
}

function toFailure(thrown: unknown): RegistryFailure {
  if (thrown instanceof RegistryFailure) return thrown;
  const shortage = shortageOf(thrown);
  if (!shortage) return new RegistryFailure("UNKNOWN", "internal error", { cause: thrown });
  const status = shortage.kind === "noSpace" ? 507 : 503;
  return new RegistryFailure("UNAVAILABLE", shortage.message, { status, cause: thrown });
}

/** Part of a file, first and last byte included. */
interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Reads a `Range` header. Several ranges, and what is none, count as no range, as RFC 9110 allows.
 * @throws {RegistryFailure} 416 when nothing of it is there
 */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const [, from = "", to = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "") ?? [];
  if (from === "" && to === "") return undefined;
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (from !== "" && to !== "" && Number(to) < Number(from)) return undefined;
  if (first >= size || (from === "" && to === "0")) {
    const headers = { "Content-Range": `bytes */${size}` };
    throw new RegistryFailure("SIZE_INVALID", `the blob has ${size} bytes`, { status: 416, headers });
  }
  return { first, last };
}

/** Sends a blob, or the part of it that is asked for, and closes it. */
export async function sendBlob(
  req: IncomingMessage,
  res: ServerResponse,
  { file, size }: OpenBlob,
  digest: string,
): Promise<void> {
  try {
    const range = parseRange(req.headers.range, size);
    const length = range ? range.last - range.first + 1 : size;
    res.writeHead(range ? 206 : 200, {
      "Content-Type": "application/octet-stream",
      "Content-Length": length,
      "Docker-Content-Digest": digest,
      "Accept-Ranges": "bytes",
      // It is its own digest: it never changes.
      ETag: `"${digest}"`,
      ...(range && { "Content-Range": `bytes ${range.first}-${range.last}/${size}` }),
    });
    if (req.method === "HEAD" || length === 0) {
      res.end();
      return;
    }
    const start = range?.first ?? 0;
    const content = file.createReadStream({
      start,
      end: start + length - 1,
      autoClose: false,
      highWaterMark: READ_BYTES,
    });
    await pipeline(content, res).catch(() => res.destroy()); // the reader has left, or the disk fails
  } finally {
    await file.close();
  }
}
