import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { makeCertificate, writeCertificate } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { type FrontGateway, openFrontGateway } from "../support/front-gateway.ts";
import { COMPILE_CACHE, ROOT, temporaryFolder } from "../support/platform.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let front: FrontGateway | undefined;
let agent: Agent;

beforeEach(async () => {
  folder = await temporaryFolder();
  agent = new Agent({ keepAlive: true, rejectUnauthorized: false, maxSockets: 1 });
});
afterEach(async () => {
  agent.destroy();
  await front?.close();
  front = undefined;
  await folder.remove();
});

const pairs = async (...names: string[]) => {
  for (const name of names) await writeCertificate(folder.path, name, makeCertificate(name, [`${name}.example.com`]));
  const files = (ending: string) => names.map((name) => join(folder.path, `${name}.${ending}`)).join(", ");
  return { tls_cert_file: files("crt"), tls_key_file: files("key") };
};

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
  /** Common name of the certificate. */
  readonly subject: string | undefined;
  readonly localPort: number | undefined;
}

async function ask(
  path: string,
  options: { servername?: string; agent?: Agent; headers?: object } = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const given = { agent: false as const, rejectUnauthorized: false, ...options };
  request((front as FrontGateway).gateway.url + path, given as object, (response) => {
    const socket = response.socket as TLSSocket;
    const told = { subject: socket.getPeerCertificate().subject?.CN, localPort: socket.localPort };
    let text = "";
    response.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    response.on("end", () => resolve({ status: response.statusCode, text, ...told } as Answer));
  })
    .on("error", reject)
    .end();
  return await promise;
}

test("a function is called over TLS, and told so whatever the caller says", async () => {
  front = await openFrontGateway(await pairs("a"));
  expect(front.gateway.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const headers = { "x-forwarded-proto": "http", "x-forwarded-host": "faas.example.com" };
  expect(await ask("/function/f/a?b=c", { headers })).toMatchObject({
    status: 200,
    text: "f got /a?b=c",
    subject: "a",
  });
  expect(front.seen.headers).toMatchObject({ "x-forwarded-proto": "https", "x-forwarded-host": "faas.example.com" });
  // What the machine's own Prometheus reads stays plain.
  expect(front.gateway.metricsUrl).toMatch(/^http:/);
});

test("bytes beyond ASCII in a path are taken over TLS too", async () => {
  front = await openFrontGateway(await pairs("a"));
  const { port } = new URL(front.gateway.url);
  const socket = connect({ port: Number(port), host: "127.0.0.1", rejectUnauthorized: false });
  let received = "";
  socket.on("data", (piece) => {
    received += piece.toString("latin1");
  });
  socket.write("GET /function/f/größe HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually("it is answered", () => received.includes("f got /gr%C3%B6%C3%9Fe"));
  socket.destroy();
});

test("HTTP/2 is spoken with those who offer it, unless it is switched off", async () => {
  for (const http2 of ["true", "false"]) {
    front = await openFrontGateway({ ...(await pairs("a")), http2, trusted_proxies: "10.0.0.1" });
    const session = connectHttp2(front.gateway.url, { rejectUnauthorized: false, ALPNProtocols: ["h2", "http/1.1"] });
    const failed = new Promise<string>((resolve) => session.on("error", ({ message }) => resolve(message)));
    const answered = new Promise<string>((resolve) => {
      const stream = session.request({ ":path": "/function/f/a?b=c", "x-forwarded-for": "203.0.113.9" });
      let text = "";
      stream.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      stream.on("error", () => {}).on("end", () => resolve(text));
    });
    if (http2 === "false") {
      // Node's client has no other.
      expect(await failed).toMatch(/./);
      expect((await ask("/function/f")).text).toBe("f got /");
    } else {
      expect(await answered).toBe("f got /a?b=c");
      expect(front.seen.headers).toMatchObject({
        "x-forwarded-proto": "https",
        "x-forwarded-for": "203.0.113.9, 127.0.0.1",
      });
      expect((await ask("/function/f")).text).toBe("f got /");
    }
    const { gateway } = front;
    await gateway.close();
    session.destroy();
    await front.close();
    front = undefined;
  }
});

test("each of several hosts has its certificate", async () => {
  front = await openFrontGateway(await pairs("a", "b"));
  const subjects = [];
  for (const servername of ["b.example.com", "a.example.com", "c.example.com"]) {
    subjects.push((await ask("/function/f", { servername })).subject);
  }
  expect(subjects).toEqual(["b", "a", "a"]);
});

test("a new certificate holds for new connections, and open ones stay", async () => {
  front = await openFrontGateway(await pairs("a"));
  const before = await ask("/function/f", { agent });
  await writeCertificate(folder.path, "a", makeCertificate("next"));
  await eventually("it holds", async () => (await ask("/function/f")).subject === "next", 20_000);
  expect(await ask("/function/f", { agent })).toEqual(before);
  // One that is not fit changes nothing.
  await writeCertificate(folder.path, "a", { cert: makeCertificate("b").cert, key: makeCertificate("c").key });
  await eventually("it is told", () => front?.log.includes("the one before stays"), 20_000);
  expect((await ask("/function/f")).subject).toBe("next");
  expect(front.log).not.toMatch(/PRIVATE|BEGIN/);
});

test("a start with a pair that does not fit is one line and an exit", async () => {
  const { tls_cert_file } = await pairs("a");
  await pairs("b");
  const env = { tls_cert_file, tls_key_file: join(folder.path, "b.key"), data_dir: join(folder.path, "data") };
  const args = ["--disable-warning=ExperimentalWarning", join(ROOT, "gateway/process/main.ts")];
  const given = { ...COMPILE_CACHE, PATH: process.env.PATH, port: "0", metrics_port: "0", basic_auth: "false", ...env };
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"], env: given });
  let said = "";
  child.stderr.on("data", (piece) => {
    said += piece;
  });
  expect((await once(child, "close"))[0]).toBe(1);
  expect(said).toMatch(/^faaslane: tls_key_file: \S+b.key is not the key of \S+a.crt\n$/);
});

test("a route names the certificate of its host, which comes and changes with its secret", async () => {
  const secrets = join(folder.path, "secrets");
  front = await openFrontGateway({ ...(await pairs("a")), function_secrets_path: secrets });
  const subject = async (servername: string) => (await ask("/healthz", { servername })).subject;
  front.provider.put({
    name: "routed",
    annotations: { "com.faaslane.routes": "shop.example.com cert=shop-tls; a.example.com cert=shop-tls" },
  });
  await eventually("it is missed", () => front?.log.includes("cannot use the certificate of a host") === true, 20_000);
  expect(await subject("shop.example.com")).toBe("a");
  await mkdir(join(secrets, "openfaas-fn"), { recursive: true });
  const write = async (name: string) => {
    const { cert, key } = makeCertificate(name, ["shop.example.com"]);
    await writeFile(join(secrets, "openfaas-fn", "shop-tls"), key + cert);
  };
  await write("first");
  await eventually("it is served with", async () => (await subject("shop.example.com")) === "first", 20_000);
  // The platform's own for a host stays.
  expect(await subject("a.example.com")).toBe("a");
  await write("second");
  await eventually("the next one is", async () => (await subject("shop.example.com")) === "second", 20_000);
  front.provider.remove("routed");
  await eventually("it is gone", async () => (await subject("shop.example.com")) === "a", 20_000);
});
