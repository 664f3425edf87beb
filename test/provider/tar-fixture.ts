/** Archives made by hand, as no packer makes the ones that matter here. */
export interface TarEntry {
  readonly name: string;
  /** Type flag of the header; `0` is a file. */
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly linkName?: string;
  readonly mode?: number;
  /** What the header claims, if not the content's length. */
  readonly size?: number;
}

const BLOCK = 512;

/** A POSIX tar of `entries`. */
export function tarOf(...entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map(entryOf), Buffer.alloc(2 * BLOCK)]);
}

function entryOf({ name, type = "0", content = "", linkName = "", mode = 0o644, size }: TarEntry): Buffer {
  const body = Buffer.from(content);
  if (Buffer.byteLength(name) > 100) {
    return Buffer.concat([
      entryOf({ name: "././@LongLink", type: "L", content: `${name}\0` }),
      entryOf({ name: name.slice(0, 50), type, content, linkName, mode, ...(size !== undefined && { size }) }),
    ]);
  }
  const head = Buffer.alloc(BLOCK);
  head.write(name, 0, 100);
  head.write(`${mode.toString(8).padStart(7, "0")}\0`, 100);
  head.write("0000000\0", 108);
  head.write("0000000\0", 116);
  head.write(`${(size ?? body.length).toString(8).padStart(11, "0")}\0`, 124);
  head.write("00000000000\0", 136);
  head.write(type, 156);
  head.write(linkName, 157, 100);
  head.write("ustar\0", 257);
  head.write("00", 263);
  writeChecksum(head);
  return Buffer.concat([head, body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]);
}

/** The descriptor of a context as an entry. */
export function descriptor(content: object): TarEntry {
  return { name: "faaslane.json", content: JSON.stringify(content) };
}

/** A record of an extended header. @see POSIX pax §"pax Extended Header" */
export function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length += 1;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

/** Where a field of a header is, and how long. */
const FIELDS = { uid: [108, 8], gid: [116, 8], size: [124, 12], mtime: [136, 12], prefix: [345, 155] } as const;

/**
 * `archive` with other bytes in the header of its entry `index`, whose checksum is right. Entries before it must be small.
 * @param fields Latin-1, at most as long as the field
 */
export function withHeader(
  archive: Buffer,
  index: number,
  fields: Partial<Record<keyof typeof FIELDS, string>>,
): Buffer {
  // A small entry is a header and one block.
  const head = archive.subarray(index * 2 * BLOCK, index * 2 * BLOCK + BLOCK);
  for (const [name, value] of Object.entries(fields)) {
    const [at, length] = FIELDS[name as keyof typeof FIELDS];
    head.fill(0, at, at + length).write(value, at, length, "latin1");
  }
  writeChecksum(head);
  return archive;
}

/** Its field counts as blanks. */
function writeChecksum(head: Buffer): void {
  head.write("        ", 148);
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
}
