/** A file of an archive. */
export interface PackedFile {
  /** With slashes, relative, clean. */
  readonly path: string;
  readonly content: Blob | Uint8Array<ArrayBuffer>;
  readonly executable?: boolean;
}

type Part = Blob | Uint8Array<ArrayBuffer>;

const BLOCK = 512;
const encoder = new TextEncoder();

/**
 * A tar of plain files, without owners or times; contents are not read until the archive is. Names that its old headers
 * have no room for get a header of their own.
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
 */
export function packTar(files: readonly PackedFile[]): Blob {
  const parts: Part[] = [];
  for (const { path, content, executable } of files) {
    const size = content instanceof Blob ? content.size : content.length;
    const mode = executable ? 0o755 : 0o644;
    const name = encoder.encode(path);
    if (name.length > 100 || name.length !== path.length) parts.push(...longName(path));
    parts.push(header({ name: name.slice(0, 100), size, mode, type: "0" }), content, padding(size));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return new Blob(parts);
}

/** Compressed, as it is sent. */
export async function gzip(archive: Blob): Promise<Blob> {
  return await new Response(archive.stream().pipeThrough(new CompressionStream("gzip"))).blob();
}

function longName(path: string): Part[] {
  const record = paxRecord("path", path);
  const name = encoder.encode("PaxHeader/file");
  return [header({ name, size: record.length, mode: 0o644, type: "x" }), record, padding(record.length)];
}

/** `<length> key=value\n`, whose length counts its own digits. */
function paxRecord(key: string, value: string): Uint8Array<ArrayBuffer> {
  const rest = encoder.encode(` ${key}=${value}\n`).length;
  let length = rest;
  while (length !== rest + String(length).length) length = rest + String(length).length;
  return encoder.encode(`${length} ${key}=${value}\n`);
}

interface Header {
  /** At most 100 bytes. */
  readonly name: Uint8Array;
  readonly size: number;
  readonly mode: number;
  /** `0` for a file, `x` for what is said of the next one. */
  readonly type: "0" | "x";
}

function header({ name, size, mode, type }: Header): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK);
  const write = (text: string, at: number) => block.set(encoder.encode(text), at);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  block.set(name, 0);
  write(octal(mode, 7), 100);
  write(octal(0, 7), 108);
  write(octal(0, 7), 116);
  write(octal(size, 11), 124);
  write(octal(0, 11), 136);
  // The checksum counts itself as spaces.
  write("        ", 148);
  write(type, 156);
  write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  write(`${octal(sum, 6)} `, 148);
  return block;
}

function padding(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}
