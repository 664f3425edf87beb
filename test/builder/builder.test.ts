import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { create } from "tar";
import { loadBuilderConfig } from "../../builder/config.ts";
import { type BuildResult, resultsOf } from "../../builder/results.ts";
import { type OpenBuilder, openBuilderServer } from "../../builder/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { openRemoteBuilder } from "../../provider/backends/images/remote-builder.ts";
import { pushBase } from "../support/oci-images.ts";
import { type OwnRegistry, REGISTRY_LOGIN, startRegistry } from "../support/own-registry.ts";
import { ROOT, runCli, temporaryFolder } from "../support/platform.ts";

const SECRET = "the payload secret";
const { signal } = new AbortController();

let own: OwnRegistry;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let builder: OpenBuilder;

beforeAll(async () => {
  folder = await temporaryFolder();
  own = await startRegistry();
  await mkdir(join(folder.path, "base/etc"), { recursive: true });
  await pushBase(own.client, "node", "24", { layers: [{ folder: join(folder.path, "base"), at: "/" }] });
  await writeFile(join(folder.path, "payload-secret"), `${SECRET}\n`);
  const config = loadBuilderConfig({
    port: "0",
    data_dir: join(folder.path, "data"),
    secret_mount_path: folder.path,
    registry: `${own.address}/team`,
    registry_platform_login: "true",
    build_max_upload_bytes: "1Mi",
    PATH: process.env.PATH,
  });
  builder = await openBuilderServer(config, REGISTRY_LOGIN, join(ROOT, "dist/watchdog.mjs"), createLogger("silent"));
});
afterAll(async () => {
  await builder?.close(1_000);
  await own?.remove();
  await folder?.remove();
});

const descriptor = (install?: readonly string[]) =>
  JSON.stringify({ image: { base: `${own.address}/node:24` }, ...(install && { install }) });

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

let packages = 0;

/** A tar as OpenFaaS's clients make it: the context comes first. */
async function packageOf(
  files: Readonly<Record<string, string>>,
  config: object | null = { image: "hello:1" },
): Promise<Buffer> {
  const at = join(folder.path, `package-${packages++}`);
  await mkdir(join(at, "context"), { recursive: true });
  for (const [path, content] of Object.entries(files)) await writeFile(join(at, path), content);
  if (config) await writeFile(join(at, "com.openfaas.docker.config"), JSON.stringify(config));
  const names = (await readdir(at)).sort().reverse();
  await create({ cwd: at, file: `${at}.tar` }, names);
  return await readFile(`${at}.tar`);
}

const sign = (body: Buffer, secret = SECRET) => `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;

const post = (body: Buffer, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`${builder.url}/build`, {
    method: "POST",
    body: new Uint8Array(body),
    headers: { "x-build-signature": sign(body), ...headers },
  });

test("one answer: the image by its digest, what was said, and how long it took", async () => {
  const body = await packageOf({
    "context/faaslane.json": descriptor(["sh", "-c", "echo installing"]),
    "context/index.mjs": "export default 1;",
  });
  const answer = await post(body);
  expect(answer.status).toBe(200);
  const { log, image, status, duration } = (await answer.json()) as BuildResult;
  expect([status, image]).toEqual([
    "success",
    expect.stringMatching(new RegExp(`^${own.address}/team/hello:1@sha256:[0-9a-f]{64}$`)),
  ]);
  expect(log).toContain("installing");
  expect(duration).toBeGreaterThan(0);
  const { digest } = await own.client.fetchManifest("team/hello", "1", signal);
  expect(image).toContain(digest);
});

test("a stream: output as it comes, then how it ended", async () => {
  const body = await packageOf({ "context/faaslane.json": descriptor(["sh", "-c", "echo no luck; exit 3"]) });
  const answer = await post(body, { accept: "application/x-ndjson" });
  const results = (await answer.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as BuildResult);
  expect(results.slice(0, -1).every(({ status }) => status === "in_progress")).toBe(true);
  expect(results.flatMap(({ log }) => log)).toContain("no luck");
  expect(results.at(-1)).toMatchObject({ status: "failed", error: "the install step ended with exit code 3" });
});

test("the provider has it build, and tells what it says", async () => {
  const at = join(folder.path, "sent");
  await mkdir(at);
  await writeFile(join(at, "faaslane.json"), descriptor());
  await writeFile(join(at, "index.mjs"), "export default 2;");
  await create({ cwd: at, file: `${at}.tar` }, ["."]);
  const remote = (secret: string) =>
    openRemoteBuilder({ url: new URL(`${builder.url}/`), secretFile: join(folder.path, secret), dataDir: at });
  const events = await collect(remote("payload-secret").build(`${at}.tar`, { image: "sent:1" }, signal));
  expect(events.at(-1)).toMatchObject({ status: "success", pushed: true });
  expect(await readdir(join(at, "builds"))).toEqual([]);
  await writeFile(join(folder.path, "other-secret"), "another");
  const refused = collect(remote("other-secret").build(`${at}.tar`, { image: "sent:1" }, signal));
  await expect(refused).rejects.toThrow(/builder answers 401.*X-Build-Signature/);
});

test("clients that read lines of 64 KiB get no longer ones", () => {
  const log = Array.from({ length: 40 }, () => "\u0001".repeat(8 * 1024));
  const results = [...resultsOf({ status: "in_progress", log }, "", 0)];
  expect(results.flatMap((one) => one.log)).toEqual(log);
  for (const one of results) expect(JSON.stringify(one).length).toBeLessThan(64 * 1024);
});

test("the README lists the variables that are read, no more and no fewer", () => {
  const asked = new Set<string>();
  loadBuilderConfig(
    new Proxy({} as Record<string, string>, {
      get: (_env, name) => {
        asked.add(String(name));
        return undefined;
      },
    }),
  );
  const readme = readFileSync(join(ROOT, "builder/README.md"), "utf8");
  const section = readme.slice(readme.indexOf("## Variables"), readme.indexOf("## Limits"));
  const listed = section
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .flatMap((row) => [...(row.split("|")[1] as string).matchAll(/`(\w+)`/g)].map((match) => match[1]));
  expect(listed.sort()).toEqual([...asked].sort());
});

test.each<[what: string, status: number, says: RegExp, ask: () => Promise<Response>]>([
  ["no signature", 401, /X-Build-Signature/, async () => post(Buffer.from("x"), { "x-build-signature": "" })],
  [
    "a signature with another secret",
    401,
    /X-Build-Signature/,
    async () => {
      const body = await packageOf({ "context/faaslane.json": descriptor() });
      return await post(body, { "x-build-signature": sign(body, "guessed") });
    },
  ],
  ["a body that is no tar", 400, /no tar archive/, async () => post(Buffer.alloc(2048, "x"))],
  [
    "no configuration",
    400,
    /must hold com\.openfaas\.docker\.config/,
    async () => post(await packageOf({ "context/faaslane.json": descriptor() }, null)),
  ],
  [
    "an image that is none",
    400,
    /config: image/,
    async () => post(await packageOf({ "context/faaslane.json": descriptor() }, { image: "-x" })),
  ],
  [
    "a context without a description",
    400,
    /has no faaslane\.json/,
    async () => post(await packageOf({ "context/Dockerfile": "FROM scratch" })),
  ],
  [
    "build secrets",
    400,
    /takes none of/,
    async () => post(await packageOf({ "context/faaslane.json": descriptor(), "com.openfaas.secrets": "x" })),
  ],
  ["more than it takes", 413, /larger than 1048576 bytes/, async () => post(Buffer.alloc(2 * 1024 ** 2))],
  ["another path", 404, /not found/, async () => fetch(`${builder.url}/publickey`)],
  ["another method", 405, /must be POST/, async () => fetch(`${builder.url}/build`)],
])("%s is refused with %i", async (_what, status, says, ask) => {
  const answer = await ask();
  expect([answer.status, await answer.text()]).toEqual([status, expect.stringMatching(says)]);
});

test("our client has it build, by flags and by the variables of faas-cli", async () => {
  const project = join(folder.path, "project");
  await mkdir(join(project, "hello"), { recursive: true });
  await writeFile(join(project, "hello/Dockerfile"), "FROM scratch\n");
  await writeFile(join(project, "hello/faaslane.json"), descriptor());
  const stack =
    "version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n  hello:\n    lang: dockerfile\n    handler: ./hello\n    image: ours:1\n";
  await writeFile(join(project, "stack.yaml"), stack);
  const secret = join(folder.path, "payload-secret");
  const publish = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    runCli(["publish", ...args], { cwd: project, env: { HOME: folder.path, ...env } });
  const done = await publish(["--remote-builder", builder.url, "--payload-secret", secret]);
  expect([done.code, done.stderr]).toEqual([0, expect.not.stringContaining("Note:")]);
  expect(done.stdout).toMatch(new RegExp(`${own.address}/team/ours:1@sha256:[0-9a-f]{64}`));
  const variables = { OPENFAAS_REMOTE_BUILDER: builder.url, OPENFAAS_PAYLOAD_SECRET: secret };
  const digest = /sha256:[0-9a-f]{64}/.exec(done.stdout)?.[0] as string;
  expect(await publish([], variables)).toMatchObject({ code: 0, stdout: expect.stringContaining(digest) });
  const unsigned = await publish(["--remote-builder", builder.url]);
  expect([unsigned.code, unsigned.stdout + unsigned.stderr]).toEqual([
    1,
    expect.stringContaining("the builder answers 401"),
  ]);
  const nowhere = await publish(["--remote-builder", "builder:8080"]);
  expect(nowhere.stderr).toContain("--remote-builder must be a URL");
});
