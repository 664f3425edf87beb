import { createLogger, type Logger } from "../../kit/log.ts";
import { listen } from "../../kit/server.ts";
import { buildProvider, type ProviderOptions } from "../../provider/app.ts";

export interface TestProvider {
  readonly url: string;
  readonly port: number;
  /** A request to `path`; an object as body is made JSON, and any goes as such. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** What was logged, as text. */
  logged(): string;
  close(): Promise<void>;
}

/** A provider over a real socket. */
export async function serveProvider(options: Omit<ProviderOptions, "log">): Promise<TestProvider> {
  const closing = new AbortController();
  const lines: string[] = [];
  const log: Logger = createLogger("debug", { write: (line) => void lines.push(line) });
  const server = await listen(buildProvider({ closing: closing.signal, ...options, log }), {
    port: 0,
    host: "127.0.0.1",
  });
  return {
    url: server.url,
    port: server.port,
    call(method, path, body, headers = {}) {
      const sent = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
      if (sent === undefined) return fetch(server.url + path, { method, headers });
      return fetch(server.url + path, {
        method,
        headers: { "content-type": "application/json", ...headers },
        body: sent,
      });
    },
    logged: () => lines.join(""),
    async close() {
      closing.abort();
      await server.drain(0);
    },
  };
}

/** Reads an NDJSON answer line by line. */
export class LineReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #buffered = "";

  constructor(response: Response) {
    this.#reader = (response.body as ReadableStream<Uint8Array>).getReader();
  }

  /** The next object; undefined at the end. */
  async next(): Promise<unknown> {
    for (;;) {
      const end = this.#buffered.indexOf("\n");
      if (end >= 0) {
        const line = this.#buffered.slice(0, end);
        this.#buffered = this.#buffered.slice(end + 1);
        return JSON.parse(line);
      }
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#buffered += this.#decoder.decode(value, { stream: true });
    }
  }

  async rest(): Promise<unknown[]> {
    const all: unknown[] = [];
    for (let next = await this.next(); next !== undefined; next = await this.next()) all.push(next);
    return all;
  }

  async leave(): Promise<void> {
    await this.#reader.cancel();
  }
}
