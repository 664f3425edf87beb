// What there is to know of programs for Linux, and how to put a note into one, where it finds it among its own headers: what
// tools such as postject do, and needs no more than this.

const TABLE_OFFSET = 32;
const TABLE_COUNT = 56;
const ENTRY_BYTES = 56;
const LOAD = 1;
const INTERPRETER = 3;
const NOTE = 4;
const HEADERS = 6;
const READABLE = 4;
/** Good for every size of a page. */
const ALIGNMENT = 0x10000;

/** So many bytes of a file tell what machine it is for. */
export const ELF_HEAD_BYTES = 20;
const MACHINE_AT = 18;
const MACHINES: Readonly<Record<number, string>> = {
  3: "386",
  21: "ppc64le",
  22: "s390x",
  40: "arm",
  62: "amd64",
  183: "arm64",
  243: "riscv64",
};

/** One program header, which says what of the file is where in memory. */
interface Entry {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
  readonly alignment: number;
}

const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit;

const isElf = (file: Buffer): boolean => file.length >= ELF_HEAD_BYTES && file.readUInt32BE(0) === 0x7f454c46;

/**
 * The machine that a program or library for Linux is for, in the names of images.
 * @param head its first {@link ELF_HEAD_BYTES} bytes, or more
 * @returns undefined when it is none; `unknown` for a machine without a name here
 */
export function machineOf(head: Buffer): string | undefined {
  if (!isElf(head)) return undefined;
  const isLittleEndian = head[5] === 1;
  const machine = isLittleEndian ? head.readUInt16LE(MACHINE_AT) : head.readUInt16BE(MACHINE_AT);
  return MACHINES[machine] ?? "unknown";
}

/** The loader that a program asks for, such as `/lib64/ld-linux-x86-64.so.2`; undefined when it needs none. */
export function interpreterOf(file: Buffer): string | undefined {
  const found = readEntries(file).find(({ type }) => type === INTERPRETER);
  return found && file.toString("latin1", found.offset, found.offset + found.fileBytes - 1);
}

/** @throws {Error} for what is no program of that kind */
function readEntries(file: Buffer): Entry[] {
  if (!isElf(file) || file[4] !== 2 || file[5] !== 1) {
    throw new Error("only ELF executables of 64 bits, little-endian, can hold a note");
  }
  const tableAt = Number(file.readBigUInt64LE(TABLE_OFFSET));
  const count = file.readUInt16LE(TABLE_COUNT);
  return Array.from({ length: count }, (_, index) => readEntry(file, tableAt + index * ENTRY_BYTES));
}

function readEntry(file: Buffer, at: number): Entry {
  const number = (offset: number) => Number(file.readBigUInt64LE(at + offset));
  return {
    type: file.readUInt32LE(at),
    flags: file.readUInt32LE(at + 4),
    offset: number(8),
    address: number(16),
    fileBytes: number(32),
    memoryBytes: number(40),
    alignment: number(48),
  };
}

function encodeEntry({ type, flags, offset, address, fileBytes, memoryBytes, alignment }: Entry): Buffer {
  const entry = Buffer.alloc(ENTRY_BYTES);
  entry.writeUInt32LE(type, 0);
  entry.writeUInt32LE(flags, 4);
  [offset, address, address, fileBytes, memoryBytes, alignment].forEach((value, index) => {
    entry.writeBigUInt64LE(BigInt(value), 8 + index * 8);
  });
  return entry;
}

function encodeNote(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(12);
  const nameBytes = Buffer.from(`${name}\0`);
  header.writeUInt32LE(nameBytes.length, 0);
  header.writeUInt32LE(content.length, 4);
  const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(roundUp(bytes.length, 4) - bytes.length)]);
  return Buffer.concat([header, padded(nameBytes), padded(content)]);
}

/**
 * The executable with one note more. It and a longer table of headers are appended to the file, in a segment of their own:
 * at an address that differs from its place in the file as that of the first segment does, which is where older systems
 * look for the table.
 * @param file of 64 bits, little-endian
 * @throws {Error} for any other
 */
export function addNote(file: Buffer, name: string, content: Buffer): Buffer {
  const entries = readEntries(file);
  const loads = entries.filter(({ type }) => type === LOAD);
  const [first] = loads;
  if (!first) throw new Error("only executables with a part to be loaded can hold a note");
  const bias = first.address - first.offset;
  const top = Math.max(...loads.map(({ address, memoryBytes }) => address + memoryBytes));
  const offset = roundUp(Math.max(file.length, top - bias), ALIGNMENT);
  const address = bias + offset;
  const tableBytes = (entries.length + 2) * ENTRY_BYTES;
  const note = encodeNote(name, content);
  const noteOffset = roundUp(tableBytes, 4);
  const segment = { offset, address, fileBytes: noteOffset + note.length, memoryBytes: noteOffset + note.length };
  const here = (skip: number, bytes: number) => ({
    offset: offset + skip,
    address: address + skip,
    fileBytes: bytes,
    memoryBytes: bytes,
  });
  const lastLoad = entries.findLastIndex(({ type }) => type === LOAD);
  const table = entries.map((entry) => (entry.type === HEADERS ? { ...entry, ...here(0, tableBytes) } : entry));
  table.splice(lastLoad + 1, 0, { type: LOAD, flags: READABLE, ...segment, alignment: ALIGNMENT });
  table.push({ type: NOTE, flags: READABLE, ...here(noteOffset, note.length), alignment: 4 });

  const grown = Buffer.alloc(offset + segment.fileBytes);
  file.copy(grown);
  Buffer.concat(table.map(encodeEntry)).copy(grown, offset);
  note.copy(grown, offset + noteOffset);
  grown.writeBigUInt64LE(BigInt(offset), TABLE_OFFSET);
  grown.writeUInt16LE(entries.length + 2, TABLE_COUNT);
  return grown;
}
