import { connect, type Socket } from "node:net";

/** HTTP/2 by the byte, for what no client's library would send. */
export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  window: 8,
  continuation: 9,
} as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;

export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ""): Buffer {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** Fields as literals, without a table and without compression. */
export function fields(list: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(list.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length: number[] = [127];
  let left = bytes.length - 127;
  for (; left >= 128; left >>>= 7) length.push((left & 127) | 128);
  length.push(left);
  return Buffer.concat([Buffer.from(length), bytes]);
}

export const GET: readonly (readonly [string, string])[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "x"],
];

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export class RawHttp2 {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  closed = false;

  /** @param bytes sent at once, behind the preface and empty settings */
  constructor(port: number, bytes: Buffer | string = "", settings = "") {
    this.socket = connect(port, "127.0.0.1");
    let read = Buffer.alloc(0);
    this.socket.on("data", (piece: Buffer) => {
      read = Buffer.concat([read, piece]);
      while (read.length >= 9 && read.length >= 9 + read.readUIntBE(0, 3)) {
        const end = 9 + read.readUIntBE(0, 3);
        this.frames.push({
          type: read[3] as number,
          flags: read[4] as number,
          stream: read.readUInt32BE(5),
          payload: read.subarray(9, end),
        });
        read = read.subarray(end);
      }
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
    });
    this.socket.write(Buffer.concat([Buffer.from(PREFACE), frame(FRAME.settings, 0, 0, settings), Buffer.from(bytes)]));
  }

  /** The code of the reset of a stream, or of the end of the connection, if there was one. */
  errorOf(stream: number): number | undefined {
    const reset = this.frames.find((found) => found.type === FRAME.reset && found.stream === stream);
    if (reset) return reset.payload.readUInt32BE(0);
    return this.frames.find(({ type }) => type === FRAME.goAway)?.payload.readUInt32BE(4);
  }

  bodyOf(stream: number): string {
    return this.frames
      .filter((found) => found.type === FRAME.data && found.stream === stream)
      .map(({ payload }) => payload.toString())
      .join("");
  }

  hasAnswer(stream: number): boolean {
    return this.frames.some((found) => found.type === FRAME.headers && found.stream === stream);
  }
}
