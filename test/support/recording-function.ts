import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import { buildImage } from "./build-upload.ts";
import type { Platform } from "./platform.ts";

/** A request as it came over the wire, by a reader that shares nothing with the platform's. */
export interface RecordedRequest {
  readonly method: string;
  readonly target: string;
  /** In order and spelling of arrival. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/**
 * A function's own server that keeps what it gets, byte for byte. Each answer's body is the target that was asked for,
 * so that an answer that goes astray is noticed.
 */
export class RecordingFunction {
  readonly received: RecordedRequest[] = [];
  /** What it could not read: there must never be any. */
  readonly garbage: string[] = [];
  /** Head lines, status line included, of answers by target; others are a plain 200. */
  readonly #answers = new Map<string, string>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => this.#serve(socket));
  }

  static async open(): Promise<RecordingFunction> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new RecordingFunction(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Deploys a function whose calls come here. */
  async deploy(platform: Platform, service: string): Promise<void> {
    const upstream = { upstream_url: `http://127.0.0.1:${this.port}`, upstream_external: "true" };
    const env = { mode: "http", fprocess: "sleep 100000", ...upstream };
    await buildImage(platform, `${service}:1`, { "faaslane.json": JSON.stringify({ env }) });
    const body = JSON.stringify({ service, image: `${service}:1` });
    const answer = await platform.control("/system/functions", { method: "POST", body });
    if (answer.status !== 202) throw new Error(`deploying ${service}: ${answer.status} ${await answer.text()}`);
  }

  /** Answers `target` with `bytes`, as they are. */
  answer(target: string, bytes: string): void {
    this.#answers.set(target, bytes);
  }

  /** The requests for `target`; what follows a `?` in it does not count. */
  of(target: string): RecordedRequest[] {
    return this.received.filter((request) => request.target.split("?")[0] === target);
  }

  async close(): Promise<void> {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    let text = "";
    socket.on("error", () => {}); // the platform may drop a connection whose caller has left
    socket.setEncoding("latin1").on("data", (piece: string) => {
      text += piece;
      for (let read = readRequest(text); read; read = readRequest(text)) {
        text = text.slice(read.length);
        if (read.request) this.#answer(read.request, socket);
        else this.#refuse(read.garbage, socket);
      }
    });
    // What is left then is a request that was broken off.
    socket.on("end", () => socket.end());
  }

  #refuse(text: string, socket: Socket): void {
    this.garbage.push(text);
    socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  }

  #answer(request: RecordedRequest, socket: Socket): void {
    this.received.push(request);
    const { target, method } = request;
    const body = method === "HEAD" ? "" : target;
    const plain = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${target.length}\r\n\r\n${body}`;
    socket.write(this.#answers.get(target.split("?")[0] as string) ?? plain, "latin1");
  }
}

type Read =
  | { readonly length: number; readonly request: RecordedRequest }
  | { readonly length: number; readonly request?: undefined; readonly garbage: string };

/** Strict where others are lenient: what is not plainly one request is garbage. */
function readRequest(text: string): Read | undefined {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const [line = "", ...lines] = text.slice(0, headEnd).split("\r\n");
  const [, method, target] = /^([A-Z]+) (\S+) HTTP\/1\.1$/.exec(line) ?? [];
  const headers = lines.map((header) => /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([^\0\r\n]*)$/.exec(header)?.slice(1));
  const garbage = { length: text.length, garbage: text };
  if (method === undefined || target === undefined || !headers.every((header) => header !== undefined)) return garbage;
  const values = (name: string) => headers.filter(([given]) => given?.toLowerCase() === name).map(([, value]) => value);
  const lengths = values("content-length");
  const encodings = values("transfer-encoding");
  if (lengths.length + encodings.length > 1) return garbage;
  const start = headEnd + 4;
  const body = encodings.length > 0 ? readChunks(text, start) : readLength(text, start, lengths[0] ?? "0");
  if (body === "garbage") return garbage;
  if (body === undefined) return undefined;
  return {
    length: body.end,
    request: { method, target, headers: headers as unknown as [string, string][], body: body.text },
  };
}

type Body = { readonly text: string; readonly end: number } | "garbage" | undefined;

function readLength(text: string, start: number, length: string): Body {
  if (!/^\d+$/.test(length)) return "garbage";
  const end = start + Number(length);
  return text.length < end ? undefined : { text: text.slice(start, end), end };
}

function readChunks(text: string, start: number): Body {
  let at = start;
  let joined = "";
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const line = text.slice(at, lineEnd);
    if (!/^[0-9a-f]+$/i.test(line)) return "garbage";
    const size = Number.parseInt(line, 16);
    const end = lineEnd + 2 + size;
    if (text.length < end + 2) return undefined;
    if (text.slice(end, end + 2) !== "\r\n") return "garbage";
    if (size === 0) return { text: joined, end: end + 2 };
    joined += text.slice(lineEnd + 2, end);
    at = end + 2;
  }
}
