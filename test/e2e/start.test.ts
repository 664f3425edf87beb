import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { get } from "node:https";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { makeCertificate } from "../support/certificates.ts";
import { descendants, Platform, type PlatformOptions, temporaryFolder } from "../support/platform.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const platforms: Platform[] = [];

beforeEach(async () => {
  folder = await temporaryFolder();
});

afterEach(async () => {
  for (const platform of platforms.splice(0)) {
    platform.kill("SIGTERM");
    await platform.ended;
  }
  await folder.remove();
});

const dataDir = () => join(folder.path, "data");

async function start(options: Partial<PlatformOptions> = {}): Promise<Platform> {
  const platform = await Platform.start({ dataDir: dataDir(), cwd: folder.path, ...options });
  platforms.push(platform);
  return platform;
}

/** A start that must fail: its exit code and what it said. */
async function failedStart(options: Partial<PlatformOptions> = {}): Promise<{ code: unknown; lines: string[] }> {
  const platform = new Platform({ dataDir: dataDir(), cwd: folder.path, ...options });
  const code = await platform.ended;
  return { code, lines: (platform.stdout + platform.stderr).trim().split("\n") };
}

test.each(["port", "metrics_port", "provider_port"])("a %s in use is one clear line", async (variable) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as AddressInfo;
  const { code, lines } = await failedStart({ env: { [variable]: `${port}` } });
  taken.close();
  expect([code, lines]).toEqual([1, [expect.stringContaining(`port ${port} is in use`)]]);
});

test("a second instance on the same data_dir is one clear line, and the first goes on", async () => {
  const first = await start();
  const { code, lines } = await failedStart();
  expect([code, lines]).toEqual([1, [expect.stringContaining(`another faaslane is using ${dataDir()}`)]]);
  expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
});

test.each<[what: string, text: string, expected: string]>([
  ["broken YAML", "functions: [", "stack.yml:"],
  ["a wrong provider", "provider: { name: faas }", "openfaas"],
])("%s in the stack file is one clear line", async (_what, text, expected) => {
  const stackFile = join(folder.path, "stack.yml");
  await writeFile(stackFile, text);
  const { code, lines } = await failedStart({ stackFile });
  expect([code, lines]).toEqual([1, [expect.stringContaining(expected)]]);
});

test("a stack file that is not there is one clear line", async () => {
  const { code, lines } = await failedStart({ stackFile: join(folder.path, "nope.yml") });
  expect([code, lines]).toEqual([1, [expect.stringContaining("nope.yml")]]);
});

test("every bad variable is named at once", async () => {
  const { code, lines } = await failedStart({ env: { port: "x", log_level: "loud", build_timeout: "soon" } });
  expect(code).toBe(1);
  for (const variable of ["port", "log_level", "build_timeout"]) expect(lines.join("\n")).toContain(`${variable}: `);
});

test("the password is made once, readable by the owner only, and needed for control routes", async () => {
  const first = await start();
  const authorization = await first.authorization();
  const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
  expect([await modeOf(dataDir()), await modeOf(join(dataDir(), "basic-auth-password"))]).toEqual([0o700, 0o600]);
  const refused = await fetch(`${first.url}/system/functions`);
  expect([refused.status, refused.headers.get("www-authenticate"), await refused.text()]).toEqual([
    401,
    'Basic realm="Restricted"',
    "invalid credentials",
  ]);
  expect((await first.control("/system/functions")).status).toBe(200);
  expect(first.stdout + first.stderr).not.toContain(authorization.slice(6));
  await first.stop();
  expect(await (await start()).authorization()).toBe(authorization);
});

test("basic_auth=false opens the control routes", async () => {
  const platform = await start({ env: { basic_auth: "false" } });
  expect((await fetch(`${platform.url}/system/functions`)).status).toBe(200);
});

test("a function whose runtime is missing is one line; the others run", async () => {
  const bin = join(folder.path, "bin");
  await mkdir(bin);
  for (const folderOfPath of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of await readdir(folderOfPath).catch(() => [])) {
      if (/^(sh|bash|dirname|grep|node)$/.test(name))
        await symlink(join(folderOfPath, name), join(bin, name)).catch(() => undefined);
    }
  }
  await mkdir(join(folder.path, "ok"));
  await writeFile(join(folder.path, "ok/handler.js"), "module.exports = async () => 'fine';");
  await mkdir(join(folder.path, "snake"));
  await writeFile(join(folder.path, "snake/handler.py"), "def handle(event, context):\n    return {}\n");
  const stackFile = join(folder.path, "stack.yml");
  await writeFile(
    stackFile,
    `provider: { name: openfaas }
functions:
  snake: { lang: python3, handler: ./snake, image: snake }
  ok: { lang: node, handler: ./ok, image: ok }
`,
  );
  const platform = await start({ stackFile, env: { PATH: bin } });
  const lines = platform.stdout.split("\n").filter((line) => line.includes("snake"));
  expect(lines).toEqual([expect.stringMatching(/^snake: .*python3/)]);
  expect(await (await fetch(`${platform.url}/function/ok`)).text()).toBe("fine");
});

test("behind its own certificate, whoever has signed it, the stack is deployed and can be called", async () => {
  const { cert, key } = makeCertificate("elsewhere.example");
  await writeFile(join(folder.path, "cert.pem"), cert);
  await writeFile(join(folder.path, "key.pem"), key, { mode: 0o600 });
  await mkdir(join(folder.path, "ok"));
  await writeFile(join(folder.path, "ok/handler.js"), "module.exports = async () => 'fine';");
  const stackFile = join(folder.path, "stack.yml");
  await writeFile(stackFile, "provider: {name: openfaas}\nfunctions:\n  ok: {lang: node, handler: ./ok, image: ok}\n");
  const env = { tls_cert_file: join(folder.path, "cert.pem"), tls_key_file: join(folder.path, "key.pem") };
  const { url, stdout } = await start({ stackFile, env });
  expect(stdout).toMatch(/functions\s+ok\n/);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  get(
    `${url}/function/ok`,
    { ca: cert, servername: "elsewhere.example", checkServerIdentity: () => undefined },
    resolve,
  ).on("error", reject);
  const answer = await promise;
  expect([answer.statusCode, (await answer.toArray()).join("")]).toEqual([200, "fine"]);
});

test("started again with an unchanged stack file, nothing is built or deployed anew", async () => {
  await mkdir(join(folder.path, "ok"));
  await writeFile(join(folder.path, "ok/handler.js"), "module.exports = async () => 'fine';");
  const stackFile = join(folder.path, "stack.yml");
  await writeFile(stackFile, "provider: {name: openfaas}\nfunctions:\n  ok: {lang: node, handler: ./ok, image: ok}\n");
  const first = await start({ stackFile });
  expect((await fetch(`${first.url}/function/ok`)).status).toBe(200);
  const replicasOf = async ({ pid }: Platform) => {
    const commands = await Promise.all(
      (await descendants(pid)).map((child) => readFile(`/proc/${child}/cmdline`, "utf8")),
    );
    // Not what a sandbox takes to make it.
    return commands.filter((command) => command.startsWith(process.execPath));
  };
  const describe = async (platform: Platform) => (await platform.control("/system/function/ok")).json();
  const before = (await describe(first)) as { createdAt: string };
  expect(await replicasOf(first)).toHaveLength(1);
  await first.stop();
  const second = await start({ stackFile });
  expect((await fetch(`${second.url}/function/ok`)).status).toBe(200);
  expect(await describe(second)).toMatchObject({ createdAt: before.createdAt });
  expect(await readdir(join(dataDir(), "artefacts"))).toHaveLength(1);
});
