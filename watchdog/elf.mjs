// Puts a note into an ELF executable, where the program finds it among its own headers. It is what tools such as
// postject do for Linux, and needs no more than this.

const TABLE_OFFSET = 32;
const TABLE_COUNT = 56;
const ENTRY_BYTES = 56;
const LOAD = 1;
const NOTE = 4;
const HEADERS = 6;
const READABLE = 4;
/** Good for every size of a page. */
const ALIGNMENT = 0x10000;

const roundUp = (value, unit) => Math.ceil(value / unit) * unit;

/** One program header, which says what of the file is where in memory. */
function readEntry(file, at) {
  const number = (offset) => Number(file.readBigUInt64LE(at + offset));
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

function encodeEntry({ type, flags, offset, address, fileBytes, memoryBytes, alignment }) {
  const entry = Buffer.alloc(ENTRY_BYTES);
  entry.writeUInt32LE(type, 0);
  entry.writeUInt32LE(flags, 4);
  [offset, address, address, fileBytes, memoryBytes, alignment].forEach((value, index) => {
    entry.writeBigUInt64LE(BigInt(value), 8 + index * 8);
  });
  return entry;
}

function encodeNote(name, content) {
  const header = Buffer.alloc(12);
  const nameBytes = Buffer.from(`${name}\0`);
  header.writeUInt32LE(nameBytes.length, 0);
  header.writeUInt32LE(content.length, 4);
  const padded = (bytes) => Buffer.concat([bytes, Buffer.alloc(roundUp(bytes.length, 4) - bytes.length)]);
  return Buffer.concat([header, padded(nameBytes), padded(content)]);
}

/**
 * The executable with one note more. It and a longer table of headers are appended to the file, in a segment of their own:
 * at an address that differs from its place in the file as that of the first segment does, which is where older systems
 * look for the table.
 * @param {Buffer} file of 64 bits, little-endian
 * @param {string} name
 * @param {Buffer} content
 */
export function addNote(file, name, content) {
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) {
    throw new Error("only ELF executables of 64 bits, little-endian, can hold a note");
  }
  const tableAt = Number(file.readBigUInt64LE(TABLE_OFFSET));
  const count = file.readUInt16LE(TABLE_COUNT);
  const entries = Array.from({ length: count }, (_, index) => readEntry(file, tableAt + index * ENTRY_BYTES));
  const loads = entries.filter(({ type }) => type === LOAD);
  const bias = loads[0].address - loads[0].offset;
  const top = Math.max(...loads.map(({ address, memoryBytes }) => address + memoryBytes));
  const offset = roundUp(Math.max(file.length, top - bias), ALIGNMENT);
  const address = bias + offset;
  const tableBytes = (count + 2) * ENTRY_BYTES;
  const note = encodeNote(name, content);
  const noteOffset = roundUp(tableBytes, 4);
  const segment = { offset, address, fileBytes: noteOffset + note.length, memoryBytes: noteOffset + note.length };
  const here = (skip, bytes) => ({
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
  grown.writeUInt16LE(count + 2, TABLE_COUNT);
  return grown;
}
