import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";
import { startWatchdog, type TestWatchdog } from "../watchdog/support/start-watchdog.ts";

const folder = mkdtempSync(join(tmpdir(), "faaslane-files-"));
const root = join(folder, "public");
let watchdog: TestWatchdog;

beforeAll(async () => {
  mkdirSync(join(root, "sub"), { recursive: true });
  writeFileSync(join(folder, "secret"), "secret");
  writeFileSync(join(folder, "public-secret"), "secret");
  writeFileSync(join(root, "ten"), "0123456789");
  writeFileSync(join(root, "<script>&.txt"), "odd");
  writeFileSync(join(root, "javascript:alert(1)"), "odd");
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe])]), "no text");
  symlinkSync("loop", join(root, "loop"));
  execFileSync("mkfifo", [join(root, "pipe")]);
  writeFileSync(join(root, "large"), "");
  truncateSync(join(root, "large"), 64 * 1024 * 1024);
  watchdog = await startWatchdog({ mode: "static", static_path: root, write_timeout: "20s" });
});
afterAll(async () => {
  await watchdog?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (path: string, ...head: string[]) =>
  rawRequest(watchdog.port, `${[`GET ${path} HTTP/1.1`, "Host: h", ...head].join("\r\n")}\r\n\r\n`);

test.each([
  "/../secret",
  "/sub/../../secret",
  "/%2e%2e/secret",
  "/%2e%2e%2fsecret",
  "/..%2fsecret",
  "/sub/%2e%2e/%2e%2e/secret",
  "/./../secret",
  "/..",
  "/....//secret",
  "/..\\secret",
  "/%252e%252e/secret",
  "/%c0%ae%c0%ae/secret",
  "/../public-secret",
  "/..%00/secret",
  "/ten%00.html",
  "//etc/passwd",
  "/sub//../../secret",
])("%s does not lead out of the folder", async (path) => {
  const answer = await ask(path);
  expect([301, 400, 404]).toContain(answer?.status);
  expect(answer?.body).not.toBe("secret");
  // Where it is sent to is below the root of this host, and leads no further up.
  const [location] = answer?.headers.get("location") ?? [];
  if (location === undefined) return;
  expect(location).toMatch(/^\/(?!\/)/);
  const next = await ask(location);
  expect([200, 404]).toContain(next?.status);
  expect(next?.body).not.toBe("secret");
});

test.each<[what: string, path: string, status: number]>([
  ["a pipe that nobody writes to", "/pipe", 404],
  ["a link to itself", "/loop", 404],
  ["a name that is no text", "/%ff%fe", 200],
  ["a name that is too long", `/${"n".repeat(5_000)}`, 404],
  ["a path below a file", "/ten/below", 404],
  ["broken encoding", "/%zz", 400],
])("%s is answered at once", async (_what, path, status) => {
  expect((await ask(path))?.status).toBe(status);
});

test.each([
  ["bytes=0-99999999999999999999", 206],
  ["bytes=99999999999999999999-", 416],
  ["bytes=5-2", 416],
  ["bytes=-0", 416],
  ["bytes=--1", 416],
  ["bytes=a-b", 416],
  [`bytes=${"0-0,".repeat(5_000)}0-0`, 200],
  ["lines=0-1", 416],
])("the range %s is no way to more than the file", async (range, status) => {
  const answer = await ask("/ten", `Range: ${range}`);
  expect([answer?.status, answer?.body.length]).toEqual([status, status === 416 ? expect.any(Number) : 10]);
});

test("names of files cannot put markup into a list, nor schemes into links", async () => {
  const answer = await ask("/");
  expect(answer?.body).toContain('<a href="%3Cscript%3E&amp;.txt">&lt;script&gt;&amp;.txt</a>');
  expect(answer?.body).toContain('<a href="./javascript%3Aalert(1)">');
  expect(answer?.body).not.toContain("<script>");
});

test("a redirect cannot be made to another host", async () => {
  for (const path of ["//evil.test/..", "//evil.test//", "/\\evil.test/..", "///evil.test/%2e%2e"]) {
    const [location] = (await ask(path))?.headers.get("location") ?? [];
    if (location !== undefined) expect([path, location]).toEqual([path, expect.stringMatching(/^\/(?![/\\])/)]);
  }
});

test("callers who ask for a large file and read nothing cost no memory, and leave no file open", async () => {
  const figure = async (name: string) => Number(new RegExp(`^${name} (\\d+)`, "m").exec(await watchdog.metrics())?.[1]);
  const before = await figure("process_open_fds");
  const sockets = Array.from({ length: 40 }, () => {
    const socket = connect(watchdog.port, "127.0.0.1").on("error", () => {});
    socket.write("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    return socket.pause();
  });
  await eventually("all are under way", async () => (await figure("http_requests_in_flight")) === 40);
  expect(await figure("process_resident_memory_bytes")).toBeLessThan(400e6);
  for (const socket of sockets) socket.resetAndDestroy();
  await eventually("nothing is open any more", async () => (await figure("process_open_fds")) <= before + 2);
  await eventually("nothing is under way", async () => (await figure("http_requests_in_flight")) === 0);
});
