import { isIPv4, isIPv6 } from "node:net";

/**
 * What a proxy says of a connection before the connection's own bytes.
 * @see https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
export type ProxyHeader =
  /** More bytes are needed to tell. */
  | { readonly kind: "unfinished" }
  | { readonly kind: "wrong"; readonly why: string }
  /** @property source absent where the proxy speaks for itself (LOCAL), or cannot say (UNKNOWN, Unix sockets) */
  | { readonly kind: "header"; readonly bytes: number; readonly source?: ProxySource };

export interface ProxySource {
  readonly address: string;
  readonly port: number;
}

const V1 = Buffer.from("PROXY ");
const V2 = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
/** Of version 1, with the end of its line. */
const MAX_LINE_BYTES = 107;
const V2_HEAD_BYTES = 16;
/** Of version 2: addresses, and what else the proxy tells, certificates of clients included. */
const MAX_V2_BYTES = 16 * 1024;

const UNFINISHED = { kind: "unfinished" } as const;
const wrong = (why: string) => ({ kind: "wrong", why }) as const;

/** @param bytes all that has come so far */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsWith(bytes, V2)) return bytes.length < V2_HEAD_BYTES ? UNFINISHED : readBinary(bytes);
  if (beginsWith(bytes, V1)) return readLine(bytes);
  return wrong("no PROXY header");
}

/** Whether it does, as far as there is anything of it. */
function beginsWith(bytes: Buffer, beginning: Buffer): boolean {
  const length = Math.min(bytes.length, beginning.length);
  return bytes.subarray(0, length).equals(beginning.subarray(0, length));
}

const PORT = "(0|[1-9]\\d{0,4})";
const LINE = new RegExp(`^PROXY (TCP4|TCP6) ([\\da-fA-F:.]+) ([\\da-fA-F:.]+) ${PORT} ${PORT}$`);

function readLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_LINE_BYTES).indexOf("\r\n");
  if (end < 0) return bytes.length < MAX_LINE_BYTES ? UNFINISHED : wrong("a line that does not end");
  const line = bytes.toString("latin1", 0, end);
  const size = end + 2;
  // The rest after the word must be ignored.
  if (/^PROXY UNKNOWN( |$)/.test(line)) return { kind: "header", bytes: size };
  const [, family, source = "", destination = "", sourcePort = "", destinationPort = ""] = LINE.exec(line) ?? [];
  const isAddress = family === "TCP4" ? isIPv4 : isIPv6;
  if (family === undefined || !isAddress(source) || !isAddress(destination)) return wrong("a line that is none");
  if (Number(sourcePort) > 65_535 || Number(destinationPort) > 65_535) return wrong("a port that is none");
  return { kind: "header", bytes: size, source: { address: source, port: Number(sourcePort) } };
}

const TCP4 = 0x11;
const TCP6 = 0x21;
const UNIX_STREAM = 0x31;
const UNSPECIFIED = 0x00;

/** Bytes of both addresses and ports by family. */
const ADDRESS_BYTES: Readonly<Record<number, number>> = {
  [UNSPECIFIED]: 0,
  [TCP4]: 12,
  [TCP6]: 36,
  [UNIX_STREAM]: 216,
};

function readBinary(bytes: Buffer): ProxyHeader {
  const [version = 0, family = 0] = bytes.subarray(12);
  const length = bytes.readUInt16BE(14);
  const size = V2_HEAD_BYTES + length;
  const command = version & 0x0f;
  if (version >> 4 !== 2 || command > 1) return wrong("an unknown version or command");
  if (size > MAX_V2_BYTES) return wrong("a header that is too long");
  if (bytes.length < size) return UNFINISHED;
  // LOCAL: a health check of the proxy's own; its addresses must be ignored.
  if (command === 0) return { kind: "header", bytes: size };
  const needed = ADDRESS_BYTES[family];
  if (needed === undefined) return wrong("an address family that is no stream's");
  if (length < needed) return wrong("an address that is cut off");
  // Whatever follows the addresses is skipped.
  const told = bytes.subarray(V2_HEAD_BYTES, size);
  if (family === TCP4) {
    const address = [...told.subarray(0, 4)].join(".");
    return { kind: "header", bytes: size, source: { address, port: told.readUInt16BE(8) } };
  }
  if (family === TCP6)
    return { kind: "header", bytes: size, source: { address: sixOf(told), port: told.readUInt16BE(32) } };
  return { kind: "header", bytes: size };
}

function sixOf(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
