import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface RawResponse {
  readonly status: number;
  readonly statusLine: string;
  /** By lower-case name, every value. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** As it came over the wire, chunks joined. */
  readonly body: string;
}

/** Port of this machine, or an `http:` or `https:` URL. */
export type Address = number | URL;

/**
 * Sends bytes and reads until the answer is complete or the other side closes.
 * @returns undefined when the connection closed without an answer
 */
export async function rawRequest(
  address: Address,
  request: string | Buffer,
  timeoutMs = 8_000,
): Promise<RawResponse | undefined> {
  const text = await exchange(address, request, timeoutMs);
  return text === "" ? undefined : parseResponse(text);
}

function open(address: Address): Socket {
  if (typeof address === "number") return connect(address, "127.0.0.1");
  const { hostname, port, protocol } = address;
  const host = hostname.replace(/^\[|\]$/g, "");
  if (protocol === "https:") return connectTls({ host, port: Number(port || 443), servername: host });
  return connect(Number(port || 80), host);
}

async function exchange(address: Address, request: string | Buffer, timeoutMs: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = open(address);
  const head = typeof request === "string" ? request.slice(0, 5) : request.subarray(0, 5).toString("latin1");
  let received = "";
  const done = () => {
    clearTimeout(timer);
    socket.destroy();
    resolve(received);
  };
  const timer = setTimeout(() => {
    socket.destroy();
    reject(new Error(`no complete answer within ${timeoutMs} ms; got: ${received.slice(0, 300)}`));
  }, timeoutMs);
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    received += chunk;
    if (isComplete(received, head.startsWith("HEAD "))) done();
  });
  socket.on("close", done);
  // A server may refuse a request before it has read all of it.
  socket.on("error", done);
  socket.write(request);
  return await promise;
}

/** Answers that only announce another. */
function skipInterim(text: string): string {
  return text.replace(/^(?:HTTP\/1\.1 1\d\d[^\r]*\r\n(?:[^\r]+\r\n)*\r\n)+/, "");
}

function isComplete(text: string, isHead: boolean): boolean {
  const final = skipInterim(text);
  const headEnd = final.indexOf("\r\n\r\n");
  if (headEnd < 0) return false;
  const { status, headers } = parseHead(final.slice(0, headEnd));
  if (isHead || status === 204 || status === 304) return true;
  const body = final.slice(headEnd + 4);
  const length = headers.get("content-length")?.[0];
  if (length !== undefined) return body.length >= Number(length);
  return headers.has("transfer-encoding") && /(^|\r\n)0\r\n([^\r]+\r\n)*\r\n$/.test(body);
}

function parseHead(head: string): { status: number; statusLine: string; headers: Map<string, string[]> } {
  const [statusLine = "", ...lines] = head.split("\r\n");
  const headers = new Map<string, string[]>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()]);
  }
  return { status: Number(statusLine.split(" ")[1]), statusLine, headers };
}

/** Parses an answer as recorded or received; interim answers are skipped. */
export function parseResponse(text: string): RawResponse {
  const final = skipInterim(text);
  const headEnd = final.indexOf("\r\n\r\n");
  const { status, statusLine, headers } = parseHead(headEnd < 0 ? final : final.slice(0, headEnd));
  const body = headEnd < 0 ? "" : final.slice(headEnd + 4);
  const chunked = headers.get("transfer-encoding")?.includes("chunked");
  return { status, statusLine, headers, body: chunked ? dechunk(body) : body };
}

function dechunk(body: string): string {
  let rest = body;
  let joined = "";
  for (;;) {
    const lineEnd = rest.indexOf("\r\n");
    const size = Number.parseInt(rest.slice(0, lineEnd), 16);
    if (lineEnd < 0 || !(size > 0)) return joined;
    joined += rest.slice(lineEnd + 2, lineEnd + 2 + size);
    rest = rest.slice(lineEnd + 2 + size + 2);
  }
}

export interface Conversation {
  /** Every answer that came, interim ones left out. */
  readonly answers: readonly RawResponse[];
  /** What came after them and is none. */
  readonly rest: string;
}

/**
 * Sends bytes, and `last` once the first answer is whole; reads until the other side closes.
 * @param last a request with `Connection: close`; what is answered between it and the first answer nobody has asked for
 */
export async function converse(
  port: number,
  bytes: string | Buffer,
  last: string,
  timeoutMs = 8_000,
): Promise<Conversation> {
  const { promise, resolve, reject } = Promise.withResolvers<Conversation>();
  const socket = connect(port, "127.0.0.1");
  const isHead = bytes.toString().trimStart().startsWith("HEAD ");
  let received = "";
  let sentLast = false;
  const timer = setTimeout(() => {
    socket.destroy();
    reject(new Error(`the connection is still open after ${timeoutMs} ms; got: ${received.slice(0, 300)}`));
  }, timeoutMs);
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    received += chunk;
    if (sentLast || !isComplete(received, isHead)) return;
    sentLast = true;
    socket.write(last);
  });
  socket.on("error", () => {}); // closed for writing by the other side, which `close` tells too
  socket.on("close", () => {
    clearTimeout(timer);
    resolve(splitAnswers(received, isHead));
  });
  socket.write(bytes);
  return await promise;
}

/** All answers on one connection, the first to a `HEAD` if `isHead`. */
function splitAnswers(text: string, isHead: boolean): Conversation {
  const answers: RawResponse[] = [];
  let rest = skipInterim(text);
  for (;;) {
    const headEnd = rest.indexOf("\r\n\r\n");
    if (headEnd < 0) return { answers, rest };
    const { status, headers } = parseHead(rest.slice(0, headEnd));
    const hasBody = !(isHead && answers.length === 0) && status !== 204 && status !== 304;
    const end = headEnd + 4 + (hasBody ? bodyLength(rest.slice(headEnd + 4), headers) : 0);
    answers.push(parseResponse(rest.slice(0, end)));
    rest = skipInterim(rest.slice(end));
  }
}

/** A body without a length goes on to the end. */
function bodyLength(text: string, headers: ReadonlyMap<string, readonly string[]>): number {
  const length = headers.get("content-length")?.[0];
  if (length !== undefined) return Number(length);
  if (!headers.has("transfer-encoding")) return text.length;
  let at = 0;
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (lineEnd < 0 || Number.isNaN(size)) return text.length;
    at = lineEnd + 2 + size + 2;
    if (size === 0) return at;
  }
}
