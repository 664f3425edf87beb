import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { FaasError } from "../../../contract/errors.ts";

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

const isGzip = (head: Buffer) => head.subarray(0, 2).equals(GZIP_MAGIC);

/**
 * The bytes of the tar in `archive`, which may be packed with gzip.
 * @param maxBytes after unpacking; more is refused, however small the file is
 * @throws {FaasError} `invalid` when gzip data is damaged or was packed twice, `tooLarge`
 */
export async function* readArchive(archive: string, maxBytes: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  const packed = await startsAsGzip(archive);
  // A stream that is made with a signal that has aborted opens its file and never closes it.
  signal.throwIfAborted();
  const file = createReadStream(archive, { signal });
  const source = packed ? gunzip(file) : file;
  let head = Buffer.alloc(0);
  let total = 0;
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      if (head.length < 2) {
        head = Buffer.concat([head, chunk.subarray(0, 2)]);
        // The tar parser would unpack a second layer by itself, past this count.
        if (packed && isGzip(head)) throw new FaasError("invalid", "build context: is packed twice");
      }
      total += chunk.length;
      if (total > maxBytes) throw new FaasError("tooLarge", "build context: unpacks to more than is allowed");
      yield chunk;
    }
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!code.startsWith("Z_")) throw error;
    throw new FaasError("invalid", "build context: the gzip data is damaged or cut short", { cause: error });
  } finally {
    file.destroy();
    source.destroy();
  }
}

function gunzip(file: Readable): Readable {
  const unpacked = createGunzip();
  // `pipe` does not pass errors on.
  file.once("error", (error) => unpacked.destroy(error));
  return file.pipe(unpacked);
}

async function startsAsGzip(archive: string): Promise<boolean> {
  await using handle = await open(archive, "r");
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
  return bytesRead === 2 && isGzip(buffer);
}
