import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { Offers } from "../../../gateway/ui/deploy/offers.ts";
import { Templates } from "../../../gateway/ui/deploy/templates.ts";
import { ROOT, temporaryFolder } from "../../support/platform.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: Server;
let answer: RequestListener;
let asked = 0;
beforeEach(async () => {
  folder = await temporaryFolder();
  asked = 0;
  server = createServer((req, res) => {
    asked += 1;
    answer(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await folder.remove();
});

const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/functions.json`;
const own = join(ROOT, "functions");

const FIGLET = { name: "figlet", images: { x86_64: "ghcr.io/openfaas/figlet:latest" }, fprocess: "figlet" };

test("a store elsewhere adds to our own functions, which win, and cannot name files of this machine", async () => {
  const evil = { ...FIGLET, name: "hello", title: "not ours" };
  const reading = { ...FIGLET, name: "reader", source: { lang: "node", handler: "../../etc" } };
  answer = (_req, res) => res.end(JSON.stringify({ functions: [FIGLET, evil, reading] }));
  const store = new Offers({ folder: own, url: url() });
  const { functions, problem } = await store.list();
  expect(problem).toBeUndefined();
  expect(functions.map(({ name }) => name)).toEqual(["figlet", "hello", "nodeinfo", "reader", "shout", "wordcount"]);
  expect(functions.find(({ name }) => name === "hello")).toMatchObject({ title: "Hello", template: "node" });
  expect(functions.find(({ name }) => name === "reader")).not.toHaveProperty("template");
  await expect(store.sources("reader")).rejects.toThrow("comes with its sources");
  const { files } = await store.sources("hello");
  expect(files.map(({ path }) => path)).toContain("handler.js");
});

test("it is read once for all who look at a time, and again when that is long ago", async () => {
  answer = (_req, res) => res.end(JSON.stringify({ functions: [FIGLET] }));
  let now = 0;
  const store = new Offers({ folder: own, url: url(), now: () => now });
  await Promise.all([store.list(), store.list(), store.list()]);
  now = 599_999;
  await store.list();
  expect(asked).toBe(1);
  now = 600_001;
  await store.list();
  expect(asked).toBe(2);
});

test.each<[what: string, answer: RequestListener, problem: string]>([
  ["is too large", (_req, res) => res.end("x".repeat(4 * 1024 ** 2 + 1)), "it is larger than 4194304 bytes"],
  ["never ends", (_req, res) => void res.write("{"), "it did not answer in time"],
  ["says no", (_req, res) => res.writeHead(503).end(), "it answers with status 503"],
  ["is no store", (_req, res) => res.end("<html>"), "function store: "],
  ["hangs up", (req) => req.socket.destroy(), "the gateway is offline or cannot reach it"],
])("a store that %s leaves our own, and says why", async (_what, given, problem) => {
  answer = given;
  let now = 0;
  const store = new Offers({ folder: own, url: url(), timeoutMs: 1_000, now: () => now });
  const found = await store.list();
  expect(found.problem).toContain(problem);
  expect(found.functions.map(({ name }) => name)).toContain("hello");
  // What failed is tried again after half a minute.
  now = 31_000;
  await store.list();
  expect(asked).toBe(2);
});

test("a template has the files of those that it extends, and one sample of a handler", async () => {
  const templates = new Templates(join(ROOT, "templates"));
  const { templates: all } = await templates.list();
  expect(all.map(({ name }) => name)).toEqual(expect.arrayContaining(["bash", "dockerfile", "node20", "python3-http"]));
  const node = await templates.get("node-express");
  const paths = node.files.map(({ path }) => path);
  // Of node, node18 and itself.
  expect(paths).toEqual(expect.arrayContaining(["Dockerfile", "runtime/variant.mjs", "runtime/express.mjs"]));
  expect(paths.filter((path) => path.startsWith("function/") || path === "README.md")).toEqual([]);
  expect(node.sample.map(({ path }) => path)).toEqual(["handler.js", "handler.test.js", "package.json"]);
  expect(node.ignore.join("\n")).toContain("node_modules");
  expect(await templates.get("dockerfile")).toMatchObject({ handlerFolder: "", files: [] });
  for (const name of ["../cli", "nope", "", "README.md", "__proto__"]) {
    await expect(templates.get(name)).rejects.toThrow("there is no template");
  }
});

test("a template that extends itself, or what is not there, is refused, and what is no text is told as it is", async () => {
  const write = async (name: string, files: Readonly<Record<string, string | Buffer>>) => {
    await mkdir(join(folder.path, name), { recursive: true });
    for (const [file, content] of Object.entries(files)) await writeFile(join(folder.path, name, file), content);
  };
  await write("circle", { "template.yml": "extends: circle\n" });
  await write("orphan", { "template.yml": "extends: nobody\n" });
  await write("plain", { "template.yml": "", "a.bin": Buffer.from([0xff, 0x00]) });
  const templates = new Templates(folder.path);
  await expect(templates.get("circle")).rejects.toThrow("too many others");
  await expect(templates.get("orphan")).rejects.toThrow("is not there");
  const { files } = await templates.get("plain");
  expect(files).toContainEqual({ path: "a.bin", text: "/wA=", encoding: "base64" });
});
