import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { TestCertificate } from "../certificates.ts";

const API_VERSIONS = 18;
const SYNC_GROUP = 14;
/** In which the other members of a group have asked for what its leader decides: the mock refuses those that come after it. */
const LEADER_WAITS_MS = 200;
const LIST_OFFSETS = 2;
/** From version 4 on the mock leaves the leader's epoch out. */
const LIST_OFFSETS_MAX = 3;

/**
 * Stands before the mock of Kafka in librdkafka: says that it knows ListOffsets up to version 3 only, as its later ones
 * have a field too few, and names itself as the broker, so that it can be away; and has the leader of a group decide last.
 */
export class KafkaProxy {
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  readonly #certificate: TestCertificate | undefined;

  private constructor(target: number, certificate: TestCertificate | undefined) {
    this.#target = target;
    this.#certificate = certificate;
  }

  /**
   * @param target port of the mock on the loopback
   * @param certificate with which it speaks TLS, which the mock does not
   */
  static async open(target: number, certificate?: TestCertificate): Promise<KafkaProxy> {
    const proxy = new KafkaProxy(target, certificate);
    await proxy.comeBack();
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Refuses connections and ends those that there are. */
  async goAway(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (!server) return;
    server.close();
    await once(server, "close");
  }

  async comeBack(): Promise<void> {
    const join = (near: Socket) => this.#join(near);
    this.#server = this.#certificate ? createTlsServer({ ...this.#certificate }, join) : createServer(join);
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  #join(near: Socket): void {
    const far = connect(this.#target, "127.0.0.1");
    const asked = new Map<number, { readonly api: number; readonly version: number }>();
    const requests = new Frames((frame) => {
      asked.set(frame.readInt32BE(4), { api: frame.readInt16BE(0), version: frame.readInt16BE(2) });
      if (decidesForGroup(frame)) setTimeout(() => far.write(withLength(frame)), LEADER_WAITS_MS);
      else far.write(withLength(frame));
    });
    const answers = new Frames((frame) => {
      const request = asked.get(frame.readInt32BE(0));
      asked.delete(frame.readInt32BE(0));
      if (request?.api === API_VERSIONS) capListOffsets(frame, request.version);
      this.#nameItself(frame);
      near.write(withLength(frame));
    });
    for (const [from, to, frames] of [
      [near, far, requests],
      [far, near, answers],
    ] as const) {
      this.#sockets.add(from);
      from.on("data", (data) => frames.add(data));
      from.on("error", () => {}); // it is closed then, and so is the other one
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }

  /** In place of the mock's own port, behind its host. */
  #nameItself(frame: Buffer): void {
    const mock = addressBytes(this.#target);
    for (let at = frame.indexOf(mock); at >= 0; at = frame.indexOf(mock, at + 1))
      addressBytes(this.#port).copy(frame, at);
  }
}

/** Whether it is SyncGroup with assignments, which only the leader of a group has. */
function decidesForGroup(request: Buffer): boolean {
  if (request.readInt16BE(0) !== SYNC_GROUP || request.readInt16BE(2) !== 3) return false;
  const skip = (at: number) => at + 2 + Math.max(0, request.readInt16BE(at));
  const group = skip(8);
  const member = skip(group) + 4;
  const instance = skip(member);
  return request.readInt32BE(skip(instance)) > 0;
}

function addressBytes(port: number): Buffer {
  const bytes = Buffer.from("127.0.0.1\0\0\0\0");
  bytes.writeInt32BE(port, bytes.length - 4);
  return bytes;
}

function capListOffsets(answer: Buffer, version: number): void {
  const isCompact = version >= 3;
  // Behind the correlation id, the error and the number of entries, of which there are fewer than 127.
  const start = isCompact ? 7 : 10;
  const size = isCompact ? 7 : 6;
  const count = isCompact ? answer.readUInt8(6) - 1 : answer.readInt32BE(6);
  for (let i = 0; i < count; i++) {
    const at = start + i * size;
    if (answer.readInt16BE(at) === LIST_OFFSETS) answer.writeInt16BE(LIST_OFFSETS_MAX, at + 4);
  }
}

function withLength(frame: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(frame.length);
  return Buffer.concat([length, frame]);
}

/** Cuts a stream into what follows each length. */
class Frames {
  readonly #onFrame: (frame: Buffer) => void;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(onFrame: (frame: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  add(data: Buffer): void {
    this.#chunks.push(data);
    this.#bytes += data.length;
    for (;;) {
      const first = this.#chunks[0];
      if (!first || this.#bytes < 4) return;
      const head = first.length >= 4 ? first : Buffer.concat(this.#chunks);
      const length = head.readInt32BE(0);
      if (this.#bytes < 4 + length) return;
      const all = Buffer.concat(this.#chunks);
      this.#chunks = [all.subarray(4 + length)];
      this.#bytes -= 4 + length;
      this.#onFrame(Buffer.from(all.subarray(4, 4 + length)));
    }
  }
}
