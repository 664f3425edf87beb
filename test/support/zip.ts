import { crc32, deflateRawSync } from "node:zlib";

export interface ZipEntry {
  readonly name: string | Buffer;
  readonly content?: string | Buffer;
  readonly stored?: boolean;
  /** Sizes and checksum come behind the content, not before it. */
  readonly descriptor?: boolean;
  readonly flags?: number;
  readonly method?: number;
  readonly mode?: number;
  /** What the list says, if that is not the truth. */
  readonly says?: { readonly bytes?: number; readonly crc?: number; readonly offset?: number };
}

/** A zip, made by hand so that it can be wrong. */
export function zipOf(entries: readonly ZipEntry[], comment = ""): Blob {
  const parts: Buffer[] = [];
  const list: Buffer[] = [];
  let at = 0;
  for (const { name, content = "", stored, descriptor, flags = 0, mode = 0o100644, says = {}, method } of entries) {
    const [path, data] = [Buffer.from(name as string), Buffer.from(content as string)];
    const packed = stored ? data : deflateRawSync(data);
    const by = method ?? (stored ? 0 : 8);
    const sum = crc32(data);
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(flags | (descriptor ? 8 : 0), 6);
    head.writeUInt16LE(by, 8);
    if (!descriptor) {
      head.writeUInt32LE(sum, 14);
      head.writeUInt32LE(packed.length, 18);
      head.writeUInt32LE(data.length, 22);
    }
    head.writeUInt16LE(path.length, 26);
    const tail = Buffer.alloc(descriptor ? 16 : 0);
    if (descriptor) {
      tail.writeUInt32LE(0x08074b50, 0);
      tail.writeUInt32LE(sum, 4);
      tail.writeUInt32LE(packed.length, 8);
      tail.writeUInt32LE(data.length, 12);
    }
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(flags | (descriptor ? 8 : 0), 8);
    central.writeUInt16LE(by, 10);
    central.writeUInt32LE(says.crc ?? sum, 16);
    central.writeUInt32LE(packed.length, 20);
    central.writeUInt32LE(says.bytes ?? data.length, 24);
    central.writeUInt16LE(path.length, 28);
    central.writeUInt32LE((mode << 16) >>> 0, 38);
    central.writeUInt32LE(says.offset ?? at, 42);
    list.push(central, path);
    parts.push(head, path, packed, tail);
    at += head.length + path.length + packed.length + tail.length;
  }
  const listed = Buffer.concat(list);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(at, 16);
  end.writeUInt16LE(comment.length, 20);
  return new Blob([...parts, listed, end, comment]);
}
