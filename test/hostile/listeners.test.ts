import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { clientOf, TrustedProxies } from "../../http/client-address.ts";
import { Certificates } from "../../kit/certificates.ts";
import { type DrainingServer, type ListenOptions, listen } from "../../kit/server.ts";
import { makeCertificate, writeCertificate } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";

/** What clients do before HTTP: handshakes, and what proxies say of connections. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let certificates: Certificates;
const opened: (() => unknown)[] = [];
const log = { warn() {}, info() {}, error() {} };

beforeAll(async () => {
  folder = await temporaryFolder();
  const pair = await writeCertificate(folder.path, "a", makeCertificate("a", ["a.example.com"]));
  certificates = await Certificates.open([pair], { log: log as never });
});
afterAll(async () => {
  certificates.close();
  await folder.remove();
});
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

type Front = NonNullable<ListenOptions["front"]>;

async function open(front: Front, options: Partial<ListenOptions> = {}): Promise<DrainingServer> {
  const trusted = new TrustedProxies(["127.0.0.1"]);
  const server = await listen((req, res) => res.end(`client ${clientOf(req)}`), {
    port: 0,
    host: "127.0.0.1",
    trusted,
    front,
    ...options,
  });
  opened.push(() => server.drain(0));
  return server;
}

const tls = (): Front => ({ proxyProtocol: false, certificates });
const PROXY: Front = { proxyProtocol: true };

interface Client {
  readonly socket: Socket;
  received: string;
  closed: boolean;
}

function watch(socket: Socket): Client {
  const client: Client = { socket, received: "", closed: false };
  socket.on("data", (piece: Buffer) => {
    client.received += piece.toString("latin1");
  });
  socket
    .on("error", () => {})
    .on("close", () => {
      client.closed = true;
    });
  opened.push(() => socket.destroy());
  return client;
}

async function dial({ port }: DrainingServer, bytes: string | Buffer = "", from = "127.0.0.1"): Promise<Client> {
  const client = watch(connect({ port, host: "127.0.0.1", localAddress: from }));
  await new Promise((resolve) => client.socket.once("connect", resolve));
  if (bytes.length > 0) client.socket.write(bytes);
  return client;
}

async function dialTls({ port }: DrainingServer, options: object = {}): Promise<TLSSocket> {
  const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  watch(socket);
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  return socket;
}

const GET = "GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n";
const closed = (client: Client) => eventually("the server has closed it", () => client.closed, 20_000);
const answered = (client: Client) =>
  eventually("it is answered", () => /client \S+$/.exec(client.received)?.[0], 20_000);

async function stillServesTls(server: DrainingServer): Promise<void> {
  const client = watch(await dialTls(server));
  client.socket.write(GET);
  expect(await answered(client)).toBe("client 127.0.0.1");
}

async function stillServesProxied(server: DrainingServer): Promise<void> {
  const client = await dial(server, `PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\r\n${GET}`);
  expect(await answered(client)).toBe("client 203.0.113.9");
}

test.each<[what: string, bytes: string | Buffer, says: RegExp]>([
  ["plain HTTP", GET, /^HTTP\/1\.1 400 [\s\S]*this port speaks HTTPS/],
  ["plain HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /^HTTP\/1\.1 400 [\s\S]*this port speaks HTTPS/],
  ["a megabyte of letters", "A".repeat(1_000_000), /^(HTTP\/1\.1 400 [\s\S]*)?$/],
  ["a PROXY header that nobody asked for", `PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\r\n`, /^HTTP\/1\.1 400 /],
  ["a binary PROXY header", Buffer.from("0d0a0d0a000d0a515549540a2111000ccb007109c000020701bb1f90", "hex"), /^$/],
  ["zeros", Buffer.alloc(100_000), /^$/],
  ["a handshake that is none", Buffer.concat([Buffer.from("1603010200", "hex"), Buffer.alloc(1_000, "x")]), /^[^H]*$/],
  ["an endless handshake record", Buffer.concat([Buffer.from("160301ffff", "hex"), Buffer.alloc(70_000)]), /^[^H]*$/],
  ["an SSL 2 hello", Buffer.from("802e0100020015000000100100800200800300800400800500800600400700c0", "hex"), /^$/],
])("%s sent to a TLS port is answered shortly or closed", async (_what, bytes, says) => {
  const server = await open(tls());
  const client = await dial(server, bytes);
  await closed(client);
  expect(client.received).toMatch(says);
  await stillServesTls(server);
});

test("handshakes that stall after any byte are closed, and so is silence", async () => {
  const server = await open({ ...tls(), deadlineMs: 300 });
  const hello = Buffer.from(`16030100c8010000c40303${"ab".repeat(32)}00`, "hex");
  const clients: Client[] = [];
  for (let bytes = 0; bytes <= hello.length; bytes += 4) clients.push(await dial(server, hello.subarray(0, bytes)));
  await stillServesTls(server);
  for (const client of clients) await closed(client);
});

test("a thousand stalled handshakes keep nobody out and are held to their number", async () => {
  const server = await open(tls(), { limits: { maxConnections: 80 } });
  const clients: Client[] = [];
  for (let i = 0; i < 1_000; i++) clients.push(await dial(server, Buffer.from("160301", "hex")));
  await stillServesTls(server);
  await eventually("the oldest had to go", () => clients.filter((client) => !client.closed).length <= 20, 20_000);
});

test("connections that are reset at any point of a handshake do no harm", async () => {
  const server = await open(tls());
  for (let i = 0; i < 100; i++) {
    const raw = connect(server.port, "127.0.0.1").on("error", () => {});
    const secured = connectTls({ socket: raw, rejectUnauthorized: false }).on("error", () => {});
    setTimeout(() => (i % 2 === 0 ? raw.resetAndDestroy() : secured.end()), i / 10);
    opened.push(() => secured.destroy());
  }
  await stillServesTls(server);
});

test.each<[what: string, servername: string]>([
  ["unknown", "nobody.example.com"],
  ["in capitals", "A.EXAMPLE.COM"],
  ["of 250 characters", `${"a.".repeat(124)}aa`],
  ["with a star", "*.example.com"],
  ["of an object's own", "__proto__"],
  ["with a path", "../../etc/passwd"],
  ["that is markup", "<script>"],
])("a server name %s gets the first certificate", async (_what, servername) => {
  const server = await open(tls());
  const socket = await dialTls(server, { servername, checkServerIdentity: () => undefined });
  expect(socket.getPeerCertificate().subject.CN).toBe("a");
});

test.each<[what: string, options: object]>([
  ["TLS 1.1", { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }],
  ["only protocols that are not served", { ALPNProtocols: ["h3", "spdy/3"] }],
  ["only ciphers without encryption", { maxVersion: "TLSv1.2", ciphers: "NULL@SECLEVEL=0" }],
  ["only ciphers without authentication", { maxVersion: "TLSv1.2", ciphers: "aNULL@SECLEVEL=0" }],
])("a client that speaks %s is refused", async (_what, options) => {
  const server = await open(tls());
  await expect(dialTls(server, options)).rejects.toThrow();
  await stillServesTls(server);
});

test("a client cannot renegotiate", async () => {
  const server = await open(tls());
  const socket = await dialTls(server, { maxVersion: "TLSv1.2" });
  const failed = new Promise((resolve) => socket.on("error", resolve).on("close", resolve));
  socket.renegotiate({}, (error) => error && socket.destroy(error));
  await failed;
  await stillServesTls(server);
});

test("records that break within a request end the connection", async () => {
  const server = await open(tls());
  const upstream = await dial(server);
  // Between the two, where somebody else writes too.
  const relay = createServer((socket) => {
    socket.on("error", () => {}).pipe(upstream.socket, { end: false });
    upstream.socket.pipe(socket);
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  opened.push(() => relay.close());
  const { port } = relay.address() as AddressInfo;
  const secured = await dialTls({ port } as DrainingServer);
  await new Promise((resolve) => secured.write("GET / HTTP/1.1\r\n", resolve));
  upstream.socket.write(Buffer.concat([Buffer.from("1703030020", "hex"), Buffer.alloc(32)]));
  await closed(upstream);
  await stillServesTls(server);
});

test.each<[what: string, bytes: string | Buffer]>([
  ["no header", GET],
  ["one that is a lie about its family", `PROXY TCP4 ::1 ::1 1 2\r\n${GET}`],
  ["a header in the line", `PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\nX: y\r\n${GET}`],
  ["two, the second for another client", `${"PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\r\n".repeat(2)}${GET}`],
  ["a line without an end", `PROXY TCP4 ${"1".repeat(100_000)}`],
  ["64 KiB that it says follow", Buffer.from(`0d0a0d0a000d0a515549540a2111ffff${"00".repeat(40_000)}`, "hex")],
  ["version 15", Buffer.from("0d0a0d0a000d0a515549540af111000ccb007109c000020701bb1f90", "hex")],
])("a trusted proxy's connection with %s serves nothing", async (_what, bytes) => {
  const server = await open(PROXY);
  const client = await dial(server, bytes);
  await closed(client);
  expect(client.received).not.toContain("200");
  await stillServesProxied(server);
});

test("a PROXY header that comes byte by byte is taken, one that stalls is closed", async () => {
  const server = await open({ ...PROXY, deadlineMs: 1_000 });
  const header = `PROXY TCP6 2001:db8::9 ::1 443 8080\r\n${GET}`;
  const stalled = [await dial(server), await dial(server, "PROXY "), await dial(server, header.slice(0, 30))];
  const slow = await dial(server);
  for (const byte of header) await new Promise((resolve) => slow.socket.write(byte, resolve));
  expect(await answered(slow)).toBe("client 2001:db8::9");
  for (const client of stalled) await closed(client);
});

test("a PROXY header of somebody who is not trusted is no request", async () => {
  const server = await open(PROXY);
  const liar = await dial(server, `PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\r\n${GET}`, "127.0.0.2");
  await closed(liar);
  expect(liar.received).toMatch(/^HTTP\/1\.1 400 /);
  // And needs none.
  expect(await answered(await dial(server, GET, "127.0.0.2"))).toBe("client 127.0.0.2");
});

test("whom a PROXY header names is not believed for others, unless he is trusted himself", async () => {
  const server = await open(PROXY);
  const asked = GET.replace("\r\n\r\n", "\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n");
  const stranger = await dial(server, `PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\r\n${asked}`);
  expect(await answered(stranger)).toBe("client 203.0.113.9");
  const trusted = await dial(server, `PROXY TCP4 127.0.0.1 192.0.2.7 443 8080\r\n${asked}`);
  expect(await answered(trusted)).toBe("client 198.51.100.1");
});

test.each<[what: string, lines: string, client: string]>([
  ["of almost a megabyte", `X-Forwarded-For: ${"1.2.3.4, ".repeat(100_000)}203.0.113.9`, "203.0.113.9"],
  ["of a megabyte of commas", `X-Forwarded-For: ${",".repeat(900_000)}`, "127.0.0.1"],
  ["in 900 lines", `${"X-Forwarded-For: 1.2.3.4\r\n".repeat(900)}X-Forwarded-For: 203.0.113.9`, "203.0.113.9"],
  ["of trusted addresses only", `X-Forwarded-For: ${"127.0.0.1, ".repeat(50_000)}127.0.0.1`, "127.0.0.1"],
  ["that ends in markup", "X-Forwarded-For: 203.0.113.9, <script>", "127.0.0.1"],
])("a chain %s is read in bounds", async (_what, lines, client) => {
  const server = await open({ proxyProtocol: false });
  const asked = await dial(server, `GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n`);
  expect(await answered(asked)).toBe(`client ${client}`);
});

test("TLS behind a PROXY header is both", async () => {
  const server = await open({ ...tls(), proxyProtocol: true });
  const raw = await dial(server, "PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\r\n");
  const secured = connectTls({ socket: raw.socket, rejectUnauthorized: false });
  const client = watch(secured);
  secured.write(GET);
  expect(await answered(client)).toBe("client 203.0.113.9");
  const plain = await dial(server, `PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\r\n${GET}`);
  await closed(plain);
  expect(plain.received).toContain("this port speaks HTTPS");
});

test("HTTP/2 over TLS is no way around a PROXY header, nor around the number of connections", async () => {
  const server = await open({ ...tls(), proxyProtocol: true }, { http2: true, limits: { maxConnections: 40 } });
  const proxied = await dial(server, "PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\r\n");
  const secured = connectTls({ socket: proxied.socket, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
  const session = connectHttp2("https://a", { createConnection: () => secured }).on("error", () => {});
  opened.push(() => session.destroy());
  let text = "";
  session.request({ ":path": "/" }).on("data", (piece) => {
    text += piece;
  });
  await eventually("it is answered", () => text === "client 203.0.113.9", 20_000);
  const many: TLSSocket[] = [];
  for (let i = 0; i < 60; i++) {
    many.push(await dialTls(server, { ALPNProtocols: ["h2"], localAddress: "127.0.0.2" }).catch(() => secured));
  }
  await eventually("those over it are closed", () => many.filter((it) => !it.destroyed).length <= 30, 20_000);
});

test("a drain waits for nobody who is not as far as HTTP, nor for those who say nothing there", async () => {
  const server = await open({ ...tls(), proxyProtocol: true });
  await dial(server);
  await dial(server, "PROXY TCP4 203.0.113.9 192.0.2.7 443 8080\r\n");
  await dial(server, Buffer.from("1603", "hex"), "127.0.0.2");
  await dialTls(server, { localAddress: "127.0.0.2" });
  let drained = false;
  void server.drain(60_000).then(() => {
    drained = true;
  });
  await eventually("it is drained long before", () => drained, 20_000);
});
