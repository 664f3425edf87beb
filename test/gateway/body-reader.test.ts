import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { toFaasError } from "../../contract/errors.ts";
import { BodyReader } from "../../gateway/proxy/body-reader.ts";
import { answerError } from "../../kit/answer-error.ts";
import { eventually } from "../support/eventually.ts";

const KB = 1000;
let server: Server;
let now = 0;
let release: () => void;
let released: Promise<void>;
const taken: string[] = [];
const sockets: Socket[] = [];

beforeEach(async () => {
  now = 0;
  taken.length = 0;
  ({ promise: released, resolve: release } = Promise.withResolvers<void>());
  const reader = new BodyReader({ limitBytes: 100 * KB, totalBytes: 300 * KB, clock: () => now });
  server = createServer((req, res) => {
    const hash = createHash("sha256");
    const use = async (body: Buffer) => {
      taken.push(req.url as string);
      if (req.url === "/kept") await released;
      expect(hash.digest("hex")).toBe(createHash("sha256").update(body).digest("hex"));
      res.end(String(body.length));
    };
    reader
      .with(req, use, (piece) => hash.update(piece))
      .catch((error: unknown) => res.destroyed || answerError(res, toFaasError(error), {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  release();
  for (const socket of sockets.splice(0)) socket.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** A request that sends its body when it is told to. */
class Client {
  received = "";
  closed = false;
  readonly #socket: Socket;

  constructor(path: string, bytes: number) {
    this.#socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    sockets.push(this.#socket);
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => {
      this.received += text;
    });
    this.#socket.on("error", () => undefined); // a refused upload may be reset
    this.#socket.on("close", () => {
      this.closed = true;
    });
    this.#socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`);
  }

  async send(bytes: number): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.write(Buffer.alloc(bytes, "x"), () => resolve()));
  }

  abort(): void {
    this.#socket.resetAndDestroy();
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d+)/.exec(this.received)?.[1] ?? 0);
  }

  async untilAnswered(): Promise<this> {
    await eventually("an answer", () => this.status > 0 || this.closed);
    return this;
  }
}

/** Sends most of a body and then nothing. */
async function stall(path: string): Promise<Client> {
  const client = new Client(path, 100 * KB);
  await client.send(90 * KB);
  return client;
}

const whole = async (path: string, bytes = 100 * KB) => {
  const client = new Client(path, bytes);
  await client.send(bytes);
  return await client.untilAnswered();
};

/** Until the server has had all that was sent: a request behind it on the loopback has been answered. */
const settled = async () => void (await whole("/last", 1));

test("uploads that stand still give way to those that move, the longest still first", async () => {
  const stalled: Client[] = [];
  for (const path of ["/first", "/second", "/third"]) {
    stalled.push(await stall(path));
    await settled();
    now += 2000;
  }
  for (let i = 0; i < 5; i++) expect((await whole(`/moving-${i}`)).status).toBe(200);
  await eventually("the first is told", () => stalled[0]?.status === 429 && stalled[0].closed);
  expect(stalled[0]?.received).toMatch(/connection: close/i);
  expect(stalled.slice(1).map(({ status, closed }) => [status, closed])).toEqual([
    [0, false],
    [0, false],
  ]);
  await stalled[1]?.send(10 * KB);
  expect((await stalled[1]?.untilAnswered())?.status).toBe(200);
});

test("bodies that are whole and wait for the queue keep their room; a new one is refused", async () => {
  const kept = [new Client("/kept", 100 * KB), new Client("/kept", 100 * KB), new Client("/kept", 99 * KB)];
  for (const [i, client] of kept.entries()) await client.send(i === 2 ? 99 * KB : 100 * KB);
  await eventually("all are whole", () => taken.length === 3);
  const refused = await whole("/more", 50 * KB);
  expect([refused.status, refused.received]).toEqual([429, expect.stringContaining("too many asynchronous calls")]);
  release();
  for (const client of kept) expect((await client.untilAnswered()).status).toBe(200);
  expect((await whole("/more", 50 * KB)).status).toBe(200);
});

test("a declared length takes no room", async () => {
  const idle = Array.from({ length: 20 }, (_, i) => new Client(`/idle-${i}`, 100 * KB));
  await Promise.all(idle.map((client) => client.send(100)));
  for (let i = 0; i < 3; i++) expect((await whole(`/moving-${i}`)).status).toBe(200);
  expect(idle.every(({ status }) => status === 0)).toBe(true);
});

test("a body that breaks off leaves its room", async () => {
  for (let i = 0; i < 10; i++) {
    const client = await stall(`/gone-${i}`);
    await settled();
    client.abort();
    await settled();
  }
  expect((await whole("/after")).status).toBe(200);
});

test("a body that is refused while it is sent closes its connection", async () => {
  const client = new Client("/large", 200 * KB);
  await client.untilAnswered();
  await eventually("it is closed", () => client.closed);
  expect(client.status).toBe(413);
});

test("a body whose connection has closed before anybody read it breaks off", async () => {
  const reader = new BodyReader({ limitBytes: 100 * KB, totalBytes: 300 * KB });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  server.removeAllListeners("request").on("request", (req) => {
    client.abort();
    req.on("error", () => {
      // As while a function is looked for: the news of the end has passed by then.
      setImmediate(() => reader.with(req, async () => "read").then(resolve, resolve));
    });
  });
  const client = new Client("/late", 10 * KB);
  await client.send(KB);
  expect(await promise).toMatchObject({ kind: "invalid", message: "the request body broke off" });
});
