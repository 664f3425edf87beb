import { cleanPath, refuseFile, UploadProblem } from "./file-path.ts";
import type { PackedFile } from "./tar.ts";

export interface ZipLimits {
  readonly maxFiles: number;
  /** Once unpacked, all together. */
  readonly maxBytes: number;
}

const END = 0x06054b50;
const END_BYTES = 22;
const CENTRAL = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL = 0x04034b50;
const LOCAL_BYTES = 30;
const MAX_COMMENT_BYTES = 0xffff;
/** What the list of its files may take, names and all. */
const MAX_LIST_BYTES = 16 * 1024 ** 2;
const ENCRYPTED = 1;
const UTF8 = 1 << 11;
const LINK = 0o120000;

interface Entry {
  readonly path: string;
  readonly method: number;
  readonly crc: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly offset: number;
  readonly executable: boolean;
}

/**
 * The files of a zip. Sizes and places are those of its list, so files that only say afterwards how long they are can be
 * read too. Nothing is unpacked beyond what the list and the limits say.
 * @throws {UploadProblem} naming the file and the rule
 * @see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
export async function readZip(zip: Blob, limits: ZipLimits): Promise<PackedFile[]> {
  const entries = await readList(zip, limits);
  const files: PackedFile[] = [];
  for (const entry of entries) {
    const content = await unpack(zip, entry);
    files.push({ path: entry.path, content, ...(entry.executable && { executable: true }) });
  }
  return files;
}

async function readList(zip: Blob, { maxFiles, maxBytes }: ZipLimits): Promise<Entry[]> {
  const tailAt = Math.max(0, zip.size - END_BYTES - MAX_COMMENT_BYTES);
  const tail = await viewOf(zip.slice(tailAt));
  let at = tail.byteLength - END_BYTES;
  while (
    at >= 0 &&
    !(tail.getUint32(at, true) === END && tail.getUint16(at + 20, true) === tail.byteLength - at - END_BYTES)
  ) {
    at -= 1;
  }
  if (at < 0) throw new UploadProblem("it is no zip, or it is cut short");
  const count = tail.getUint16(at + 10, true);
  const listBytes = tail.getUint32(at + 12, true);
  const listAt = tail.getUint32(at + 16, true);
  // 65,535 says that the number is elsewhere, where only larger archives have it.
  if (count > maxFiles || count === 0xffff) throw new UploadProblem(`it has more than ${maxFiles} files`);
  if (listBytes > MAX_LIST_BYTES)
    throw new UploadProblem(`the list of its files is larger than ${MAX_LIST_BYTES} bytes`);
  if (listAt + listBytes > tailAt + at)
    throw new UploadProblem("it is damaged: the list of its files is not where it says");
  const list = await viewOf(zip.slice(listAt, listAt + listBytes));
  const entries: Entry[] = [];
  const seen = new Set<string>();
  let total = 0;
  let here = 0;
  for (let n = 0; n < count; n++) {
    if (here + CENTRAL_BYTES > listBytes || list.getUint32(here, true) !== CENTRAL) {
      throw new UploadProblem("it is damaged: the list of its files is not whole");
    }
    const { entry, length } = readEntry(list, here);
    here += length;
    if (!entry) continue;
    if (seen.has(entry.path)) throw refuseFile(entry.path, "is in it twice");
    seen.add(entry.path);
    total += entry.bytes;
    if (total > maxBytes) throw new UploadProblem(`it unpacks to more than ${maxBytes} bytes`);
    entries.push(entry);
  }
  // The number has 16 bits: of more files than that it says the rest.
  if (here !== listBytes) throw new UploadProblem("it has more files than it says");
  return entries;
}

/** @returns no entry for a folder */
function readEntry(list: DataView, at: number): { readonly entry: Entry | undefined; readonly length: number } {
  const flags = list.getUint16(at + 8, true);
  const nameBytes = list.getUint16(at + 28, true);
  const length = CENTRAL_BYTES + nameBytes + list.getUint16(at + 30, true) + list.getUint16(at + 32, true);
  if (at + length > list.byteLength) throw new UploadProblem("it is damaged: the list of its files is not whole");
  const name = decodeName(new Uint8Array(list.buffer, list.byteOffset + at + CENTRAL_BYTES, nameBytes), flags);
  if (name.endsWith("/")) {
    if (name !== "/" && name !== "./") cleanPath(name);
    return { entry: undefined, length };
  }
  const path = cleanPath(name);
  const mode = list.getUint32(at + 38, true) >>> 16;
  const method = list.getUint16(at + 10, true);
  if (flags & ENCRYPTED) throw refuseFile(path, "is encrypted");
  if ((mode & 0o170000) === LINK) throw refuseFile(path, "is a symbolic link; only files and folders are allowed");
  if (method !== 0 && method !== 8) throw refuseFile(path, `is packed by method ${method}, which is not known here`);
  const entry = {
    path,
    method,
    crc: list.getUint32(at + 16, true),
    packedBytes: list.getUint32(at + 20, true),
    bytes: list.getUint32(at + 24, true),
    offset: list.getUint32(at + 42, true),
    executable: (mode & 0o111) !== 0,
  };
  return { entry, length };
}

function decodeName(bytes: Uint8Array, flags: number): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    if (flags & UTF8) throw new UploadProblem("it has a name that is not UTF-8");
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

async function unpack(
  zip: Blob,
  { path, method, crc, packedBytes, bytes, offset }: Entry,
): Promise<Uint8Array<ArrayBuffer>> {
  const head = await viewOf(zip.slice(offset, offset + LOCAL_BYTES));
  if (head.byteLength < LOCAL_BYTES || head.getUint32(0, true) !== LOCAL) {
    throw refuseFile(path, "is not where the zip says");
  }
  const from = offset + LOCAL_BYTES + head.getUint16(26, true) + head.getUint16(28, true);
  const packed = zip.slice(from, from + packedBytes);
  const content = new Uint8Array(bytes);
  let size = 0;
  try {
    const stream = method === 0 ? packed.stream() : packed.stream().pipeThrough(new DecompressionStream("deflate-raw"));
    for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) {
      if (size + chunk.length > bytes) throw refuseFile(path, "is larger than the zip says");
      content.set(chunk, size);
      size += chunk.length;
    }
  } catch (error) {
    throw error instanceof UploadProblem ? error : refuseFile(path, "is damaged");
  }
  if (size !== bytes || crc32(content) !== crc) throw refuseFile(path, "is damaged");
  return content;
}

async function viewOf(part: Blob): Promise<DataView> {
  return new DataView(await part.arrayBuffer());
}

let table: Uint32Array | undefined;

function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let value = n;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (table[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
