import { once } from "node:events";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Parser, type ReadEntry } from "tar";
import { FaasError } from "../../../contract/errors.ts";
import { readArchive } from "./archive-stream.ts";
import { Disk } from "./disk.ts";
import { parseEntryPath, refuseEntry } from "./entry-path.ts";
import type { BuildLimits } from "./limits.ts";

export interface Unpacked {
  readonly files: number;
  readonly bytes: number;
}

/** Everything in a tar is a multiple of these. */
const BLOCK_BYTES = 512;
/** Up to here a file is taken as a whole, and written while the next ones are read. */
const WHOLE_BYTES = 64 * 1024;
const CUT_SHORT = "build context: the archive is cut short";
/** Heads of an entry: its own, and those of a long name. */
const OVERHEAD_PER_ENTRY = 4096;
const KIND: ReadonlyMap<string, string> = new Map([
  ["Link", "is a hard link"],
  ["SymbolicLink", "is a symbolic link"],
  ["CharacterDevice", "is a device"],
  ["BlockDevice", "is a device"],
  ["FIFO", "is a named pipe"],
]);
const FILES = new Set(["File", "OldFile", "ContiguousFile"]);

/**
 * Unpacks a tar or tar.gz into the empty folder `root`. Only plain files and folders are made, so there is never a
 * link to follow; owners, times and every mode bit but the one to execute are dropped.
 * @throws {FaasError} `invalid` naming the entry and the rule it breaks, or that it is no archive; `tooLarge`
 */
export async function unpackContext(
  archive: string,
  root: string,
  limits: Pick<BuildLimits, "maxContextBytes" | "maxEntries">,
  signal: AbortSignal,
): Promise<Unpacked> {
  const maxTarBytes = limits.maxContextBytes + limits.maxEntries * OVERHEAD_PER_ENTRY + 1024 ** 2;
  // Failed once an entry is refused, so that nothing waits for the parser to go on.
  const failed = new AbortController();
  const fail = (error: unknown) => failed.abort(error);
  const stop = AbortSignal.any([signal, failed.signal]);
  const counts = { entries: 0, files: 0, bytes: 0 };
  const disk = new Disk(root);
  let writing = Promise.resolve();
  let sawEnd = false;
  let read = 0;

  const parser = new Parser({ strict: true, zstd: false, brotli: false });
  parser.on("error", (cause: Error) => fail(new FaasError("invalid", explain(cause), { cause })));
  parser.on("ignoredEntry", (entry: ReadEntry) => fail(refuseEntry(entry.path, "is of a kind that is not allowed")));
  parser.on("eof", () => {
    sawEnd = true;
  });
  parser.on("entry", (entry: ReadEntry) => {
    try {
      const segments = admit(entry, counts, limits);
      writing = writing.then(() => write(entry, join(root, ...segments), disk, stop));
      writing.catch(fail);
    } catch (error) {
      fail(error);
    }
  });
  const parsed = once(parser, "end", { signal: stop });
  parsed.catch(() => {});

  try {
    for await (const chunk of readArchive(archive, maxTarBytes, stop)) {
      // Past the end mark the parser only piles up what it gets. The rest is still read: gzip's checksum comes last.
      if (sawEnd) continue;
      read += chunk.length;
      if (!parser.write(chunk) && !sawEnd) await Promise.race([once(parser, "drain", { signal: stop }), parsed]);
      stop.throwIfAborted();
    }
    // The parser says nothing of a header that is not whole.
    if (!sawEnd && read % BLOCK_BYTES !== 0) throw new FaasError("invalid", CUT_SHORT);
    parser.end();
    await parsed;
    await writing;
    await disk.settled();
  } catch (error) {
    fail(error);
    await writing.catch(() => {});
    await disk.settled().catch(() => {});
    throw failed.signal.reason;
  }
  stop.throwIfAborted();
  return { files: counts.files, bytes: counts.bytes };
}

function explain({ message }: Error): string {
  return message.includes("Truncated")
    ? CUT_SHORT
    : "build context: is no tar archive, nor one packed with gzip, or it is damaged";
}

function admit(
  entry: ReadEntry,
  counts: { entries: number; files: number; bytes: number },
  { maxEntries, maxContextBytes }: Pick<BuildLimits, "maxContextBytes" | "maxEntries">,
): string[] {
  const segments = parseEntryPath(entry.path);
  const isFile = FILES.has(entry.type);
  if (!isFile && entry.type !== "Directory") {
    throw refuseEntry(
      entry.path,
      `${KIND.get(entry.type) ?? "is of an unknown kind"}; only files and folders are allowed`,
    );
  }
  if (isFile && segments.length === 0) throw refuseEntry(entry.path, "is a file without a name");
  counts.entries += 1;
  counts.files += isFile ? 1 : 0;
  counts.bytes += entry.size;
  if (counts.entries > maxEntries) {
    throw new FaasError("tooLarge", `build context: has more than ${maxEntries} files and folders`);
  }
  if (!(entry.size >= 0 && counts.bytes <= maxContextBytes)) {
    throw new FaasError("tooLarge", `build context: unpacks to more than ${maxContextBytes} bytes`);
  }
  return segments;
}

/**
 * Takes what the archive holds of an entry and writes it. A small file may still be on its way to the disk when this
 * resolves.
 */
async function write(entry: ReadEntry, path: string, disk: Disk, stop: AbortSignal): Promise<void> {
  stop.throwIfAborted();
  // The rest of the entry may never come.
  const giveUp = () => void entry.destroy();
  stop.addEventListener("abort", giveUp, { once: true });
  try {
    if (entry.type === "Directory") {
      await disk.folder(path);
      entry.resume();
      return;
    }
    const mode = ((entry.mode ?? 0) & 0o111) !== 0 ? 0o755 : 0o644;
    await disk.folder(dirname(path));
    if (entry.size <= WHOLE_BYTES) {
      // Each time before the entry is asked: one that is destroyed already does not answer.
      stop.throwIfAborted();
      const content = await entry.concat();
      stop.throwIfAborted();
      await disk.writeSoon(path, mode, content, (error) => explainWrite(error, entry));
      return;
    }
    await disk.settled();
    await using file = await open(path, "w", mode);
    await file.chmod(mode);
    stop.throwIfAborted();
    for await (const chunk of entry as AsyncIterable<Buffer>) {
      await file.writeFile(chunk);
      stop.throwIfAborted();
    }
  } catch (error) {
    throw explainWrite(error, entry);
  } finally {
    stop.removeEventListener("abort", giveUp);
  }
}

function explainWrite(error: unknown, { path }: ReadEntry): unknown {
  const { code = "" } = error as NodeJS.ErrnoException;
  return ["EEXIST", "ENOTDIR", "EISDIR"].includes(code) ? refuseEntry(path, "is both a file and a folder") : error;
}
