// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax of stack files

import { spawnSync } from "node:child_process";
import { chmod, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { list } from "tar";
import { parseAllDocuments } from "yaml";
import { parseStack } from "../../cli/stack/parse.ts";
import { json, openFakeGateway, type Reply, type Seen } from "../cli/support/fake-gateway.ts";
import { makeWorkspace, type Outcome, ROOT, runHere, type Workspace } from "../cli/support/run-cli.ts";

/** What a stack file of somebody else, or a gateway of somebody else, may try at whoever runs the client. */
const PASSWORD = "local admin password";
const BASIC = `Basic ${btoa(`admin:${PASSWORD}`)}`;
const HEAD = "version: 1.0\nprovider:\n  name: openfaas\n";

const platformAt = (url: string, pid = process.pid) => ({
  ".faaslane/basic-auth-user": "admin\n",
  ".faaslane/basic-auth-password": `${PASSWORD}\n`,
  ".faaslane/platform.json": JSON.stringify({ url, pid }),
});

/** Answers anything, and remembers what it was asked. */
const openListener = () => openFakeGateway(() => json([]));

const stackFor = (gateway: string) => `${HEAD}  gateway: ${gateway}\nfunctions: {}\n`;

test.each<[where: string, platform: (listener: string) => Record<string, string>]>([
  ["another port of this machine", () => platformAt("http://127.0.0.1:1")],
  ["a port that nobody has told of", (url) => ({ ...platformAt(url), ".faaslane/platform.json": "" })],
  ["the port of a platform that has ended", (url) => platformAt(url, 2 ** 22 + 1)],
  ["another address with the platform's port", (url) => platformAt(url.replace("127.0.0.1", "127.0.0.2"))],
  ["a port that a broken file names", (url) => ({ ...platformAt(url), ".faaslane/platform.json": `[${url}` })],
])("a stack file that names %s does not get the local password sent there", async (_where, platform) => {
  await using listener = await openListener();
  await using workspace = await makeWorkspace({ ...platform(listener.url), "stack.yml": stackFor(listener.url) });
  await runHere(["list"], { cwd: workspace.path });
  expect(listener.seen.map(({ headers }) => headers.authorization)).toEqual([undefined]);
});

test("the platform itself gets its password, by its address and by name", async () => {
  await using listener = await openListener();
  await using workspace = await makeWorkspace(platformAt(listener.url));
  for (const url of [listener.url, listener.url.replace("127.0.0.1", "localhost")]) {
    await runHere(["list", "-g", url], { cwd: workspace.path });
  }
  expect(listener.seen.map(({ headers }) => headers.authorization)).toEqual([BASIC, BASIC]);
});

const TEMPLATE = { "template/t/template.yml": "language: t\n", "template/t/function/sample": "" };
const project = (handler: string, more = "") =>
  `${HEAD}functions:\n  f:\n    lang: t\n    image: f\n    handler: ${handler}\n${more}`;

/** Lays out what a build would send. `project/` is the working directory, `secret/` is beside it. */
async function layOut(
  files: Readonly<Record<string, string>>,
  { args = [] as string[], before = async (_at: (name: string) => string) => {} } = {},
): Promise<Outcome & { readonly packed: string[] }> {
  const inProject = Object.fromEntries(Object.entries(TEMPLATE).map(([name, text]) => [`project/${name}`, text]));
  await using workspace = await makeWorkspace({ "secret/id_rsa": "private", ...inProject, ...files });
  await before((name) => join(workspace.path, name));
  const packed: string[] = [];
  await using gateway = await openFakeGateway(async ({ path, body }) => {
    if (path === "/system/build") packed.push(...(await namesIn(body, workspace)));
    return { status: 200, body: '{"status":"success","image":"f@sha256:1"}\n' };
  });
  const options = { cwd: join(workspace.path, "project"), env: { OPENFAAS_URL: gateway.url } };
  return { ...(await runHere(["build", ...args], options)), packed };
}

/** Names in the archive of an uploaded context. */
async function namesIn(body: Buffer, workspace: Workspace): Promise<string[]> {
  const from = body.indexOf(Buffer.from([0x1f, 0x8b]));
  const file = join(workspace.path, "uploaded.tgz");
  await writeFile(file, body.subarray(from, body.lastIndexOf("\r\n--")));
  const names: string[] = [];
  await list({ file, onReadEntry: ({ path }) => names.push(path) });
  return names;
}

const outside = (text: string) => new RegExp(`${text}.* outside of .*project; --allow-outside`);

test.each<[what: string, handler: string]>([
  ["a folder beside the project", "../secret"],
  ["a folder far above", "../../../../../../../../etc"],
  ["an absolute folder", "/etc"],
  ["a way in and out again", "./fn/../../secret"],
  ["a link to a folder outside", "./link"],
])("a handler that is %s is not packed", async (_what, handler) => {
  const files = { "project/fn/h.js": "", "project/stack.yml": project(handler) };
  const { code, stderr, packed } = await layOut(files, {
    before: async (at) => symlink(at("secret"), at("project/link")),
  });
  expect([code, packed]).toEqual([1, []]);
  expect(stderr).toMatch(outside("handler: "));
});

test.each<[what: string, link: string, target: string]>([
  ["a file outside", "fn/key", "../../secret/id_rsa"],
  ["a folder outside", "fn/lib", "../../secret"],
  ["an absolute path", "fn/passwd", "/etc/passwd"],
  ["a link that leads outside", "fn/twice", "../hop"],
  ["the folder above the project", "fn/up", "../.."],
])("a link in a handler to %s is refused by its name", async (_what, link, target) => {
  const files = { "project/fn/h.js": "", "project/stack.yml": project("./fn") };
  const { code, stderr, packed } = await layOut(files, {
    before: async (at) => {
      await symlink(at("secret/id_rsa"), at("project/hop"));
      await symlink(target, at(`project/${link}`));
    },
  });
  expect([code, packed]).toEqual([1, []]);
  expect(stderr).toMatch(outside(`${link}: it is a link to `));
});

test.each<[what: string, links: readonly (readonly [target: string, link: string])[], stack: string]>([
  ["that are copied beside the handler", [["secret", "project/shared"]], "configuration: {copy: [shared]}\n"],
  ["of a template", [["secret", "project/template/t/lib"]], ""],
])("links %s are refused, too", async (_what, links, stack) => {
  const files = { "project/fn/h.js": "", "project/stack.yml": `${project("./fn")}${stack}` };
  const { code, stderr } = await layOut(files, {
    before: async (at) => {
      for (const [target, link] of links) await symlink(at(target), at(link));
    },
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/it is a link to .*secret, outside of /);
});

test("what belongs to the project is packed: siblings in its work tree, links within it, and what is asked for", async () => {
  const inTree = { "libs/fn/h.js": "", "libs/shared/a.js": "", ".git/HEAD": "" };
  const sibling = { ...inTree, "project/stack.yml": project("../libs/fn") };
  const before = async (at: (name: string) => string) => symlink("../shared/a.js", at("libs/fn/a.js"));
  const packed = await layOut(sibling, { before });
  expect([packed.code, packed.packed]).toEqual([0, expect.arrayContaining(["function/h.js", "function/a.js"])]);
  const asked = await layOut({ "project/stack.yml": project("../secret") }, { args: ["--allow-outside"] });
  expect([asked.code, asked.packed]).toEqual([0, expect.arrayContaining(["function/id_rsa"])]);
});

test("an environment file outside of the project is not sent to a gateway", async () => {
  await using listener = await openListener();
  const stack = `${stackFor(listener.url).replace("functions: {}\n", "")}functions:\n  f:\n    image: f\n`;
  await using workspace = await makeWorkspace({
    "secret.yml": "environment: {AWS_SECRET: x}",
    "project/stack.yml": `${stack}    environment_file: [../secret.yml]\n`,
  });
  const { code, stderr } = await runHere(["deploy"], { cwd: join(workspace.path, "project") });
  expect([code, listener.seen]).toEqual([1, []]);
  expect(stderr).toMatch(outside("environment_file: ../secret.yml is"));
});

const EVIL = "f\u001b]0;owned\u0007\u001b[2J\u009b1A\u202eb\rc";
const fields = { name: EVIL, image: EVIL, namespace: EVIL, problem: `down${EVIL}`, labels: { [EVIL]: EVIL } };
const log = { name: "f", namespace: "n", instance: "i", timestamp: "2030-01-01T00:00:00Z", text: `${EVIL}\n` };

test.each<[command: string, reply: (seen: Seen) => Reply]>([
  ["list", () => json([fields])],
  ["list -v", () => json([fields])],
  ["list -q", () => json([fields])],
  ["describe f", ({ path }) => json(path.includes("functions") ? [fields] : fields)],
  ["logs f --no-tail", () => ({ status: 200, body: `${JSON.stringify(log)}\n` })],
  ["diff -f stack.yml", () => json(fields)],
  ["secret list", () => json([{ name: EVIL }])],
  ["namespace list", () => json([EVIL])],
  ["remove f", () => ({ status: 409, body: EVIL })],
  ["list -n x", () => ({ status: 500, body: EVIL })],
])("nothing that %s prints acts on a terminal", async (command, reply) => {
  await using gateway = await openFakeGateway(reply);
  await using workspace = await makeWorkspace({ "stack.yml": `${HEAD}functions: {f: {image: i}}\n` });
  const options = { cwd: workspace.path, env: { OPENFAAS_URL: gateway.url } };
  const { stdout, stderr } = await runHere(command.split(" "), { ...options, screen: true });
  expect(stdout + stderr).toContain("\\x1b]0;owned\\x07");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(stdout + stderr).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
});

test("what a gateway calls functions is not run by a shell that completes them", async () => {
  await using workspace = await makeWorkspace();
  const { stdout } = await runHere(["completion", "bash"], { cwd: workspace.path });
  const evil = ["fine", "f$(touch ran)", "f`touch ran`", "f;touch ran", "-rf", "f\u001b[2J", "$HOME"];
  await writeFile(join(workspace.path, "names"), evil.map((name) => `${name}\n`).join(""));
  const tries = 'COMP_WORDS=(faaslane invoke ""); COMP_CWORD=2; _faaslane; printf "%s\\n" "${COMPREPLY[@]}"';
  const script = `${stdout}\nfaaslane() { cat names; }\n${tries}\n`;
  const shell = spawnSync("bash", ["-c", script], { cwd: workspace.path, encoding: "utf8", timeout: 60_000 });
  expect(shell).toMatchObject({ status: 0, stdout: "fine\n", stderr: "" });
  expect(await readdir(workspace.path)).toEqual(["names"]);
});

const NAMES = ["f\\n---\\nkind: ClusterRole", "f: {x: y}", "- f", "\\e[2J", "&a", "!!js/function"];

test.each(["openfaas.com/v1", "serving.knative.dev/v1"])(
  "texts of a stack file do not become objects of their own in %s",
  async (api) => {
    const entries = NAMES.map(
      (name) => `  "${name}": {image: "${name}", secrets: ["${name}"], labels: {a: "${name}"}}\n`,
    );
    await using workspace = await makeWorkspace({ "stack.yml": `${HEAD}functions:\n${entries.join("")}` });
    const { stdout, stderr } = await runHere(["generate", "--api", api], { cwd: workspace.path });
    expect(stderr).toBe("");
    const names = parseAllDocuments(stdout).map((document) => document.getIn(["metadata", "name"]));
    expect(names.sort()).toEqual(NAMES.map((name) => JSON.parse(`"${name.replace("\\e", "\\u001b")}"`)).sort());
  },
);

test.each<[what: string, fields: string, told: RegExp]>([
  ["is a flag of the engine as its image", 'image: "--privileged"', /image: "--privileged:latest" is no image/],
  [
    "hands out a file of this machine as a build secret",
    "image: i\n    build_secrets: {k: ../secret/id_rsa}",
    /outside of the project/,
  ],
  [
    "says more in a build secret than its file",
    'image: i\n    build_secrets: {"k,src=/etc/shadow": own}',
    /neither name nor path may hold a comma/,
  ],
])("local-run refuses a stack file that %s", async (_what, fields, told) => {
  await using workspace = await makeWorkspace({
    ...Object.fromEntries(Object.entries(TEMPLATE).map(([name, text]) => [`project/${name}`, text])),
    "secret/id_rsa": "private",
    "project/own": "",
    "project/h/sample": "",
    "project/stack.yml": `${HEAD}functions:\n  f:\n    lang: t\n    handler: ./h\n    ${fields}\n`,
    "bin/docker": `#!/bin/sh\necho "$@" >> "$0.asked"\n`,
  });
  await chmod(join(workspace.path, "bin/docker"), 0o755);
  const cwd = join(workspace.path, "project");
  const env = { PATH: `${workspace.path}/bin:/usr/bin:/bin` };
  const { code, stderr } = await runHere(["local-run"], { cwd, env });
  expect([code, stderr]).toEqual([1, expect.stringMatching(told)]);
  expect(await readFile(join(workspace.path, "bin/docker.asked"), "utf8").catch(() => "")).not.toMatch(
    /^(build|run|rm)/m,
  );
});

test("sealed secrets of nobody, and damaged ones, are an error in one line", async () => {
  const sealed = (key: string, secret: string, keyId: string) =>
    `version: v1\nalgorithm: nacl/box\nkey_id: ${keyId}\npublic_key: ${key}\nsecrets: {a: ${secret}}\n`;
  await using workspace = await makeWorkspace();
  const run = (...args: string[]) => runHere(["secret", ...args], { cwd: workspace.path });
  await run("keygen");
  const keyId = (await readFile(join(workspace.path, "key.pub"), "utf8")).slice(0, 8);
  const zero = Buffer.alloc(32).toString("base64");
  const [short, long] = ["AAAA", Buffer.alloc(60).toString("base64")];
  for (const [key, secret] of [
    [zero, long],
    [short, long],
    [zero, short],
    ["'?'", "'?'"],
    [zero, "''"],
  ] as const) {
    await writeFile(join(workspace.path, "com.openfaas.secrets"), sealed(key, secret, keyId));
    expect(await run("unseal", "key")).toEqual({
      code: 1,
      stdout: "",
      stderr: "Error: com.openfaas.secrets: a is damaged, or was sealed for somebody else\n",
    });
  }
});

test("a value with line ends does not look like further fields", async () => {
  const status = { name: "f", image: "x", labels: { a: "1\nStatus:              Ready" } };
  await using gateway = await openFakeGateway(({ path }) => json(path.includes("functions") ? [status] : status));
  await using workspace = await makeWorkspace();
  const options = { cwd: workspace.path, env: { OPENFAAS_URL: gateway.url } };
  const { stdout } = await runHere(["describe", "f"], options);
  expect(stdout.split("\n").filter((line) => line.startsWith("Status:"))).toEqual(["Status:              Not Ready"]);
});

const merged = Array.from({ length: 24 }, (_, i) => `x${i + 1}: &x${i + 1}\n  <<: [*x${i}, *x${i}]\n`).join("");
const listed = Array.from({ length: 9 }, (_, i) => `q${i + 1}: &q${i + 1} [${`*q${i}, `.repeat(9)}]\n`).join("");
const lines = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join("");
const wide = `w: &w [${"a, ".repeat(20_000)}]\nfunctions:\n`;

test.each<[what: string, text: string, told: RegExp]>([
  ["merges itself again and again", `x0: &x0 {a: b}\n${merged}functions: {f: {labels: *x24}}\n`, /aliases resolved/],
  ["lists itself again and again", `q0: &q0 [a]\n${listed}functions: {f: {secrets: *q9}}\n`, /must be text/],
  [
    "has 60,000 functions",
    `functions:\n${lines(60_000, (i) => `  f${i}: {image: a}\n`)}`,
    /at most 5000 functions|larger/,
  ],
  ["has 6,000 functions", `functions:\n${lines(6_000, (i) => `  f${i}: {image: a}\n`)}`, /at most 5000 functions/],
  ["uses one list for each of many", wide + lines(400, (i) => `  f${i}: {secrets: *w}\n`), /aliases resolved/],
  ["has 40,000 labels", `functions:\n  f:\n    labels:\n${lines(40_000, (i) => `      k${i}: v\n`)}`, /^$/],
  ["has 40,000 anchors", lines(40_000, (i) => `k${i}: &a${i} v\n`), /^$/],
  ["is nested without end", `functions: ${"[".repeat(100_000)}`, /nested too deep/],
  ["is huge", `# ${"x".repeat(2 * 1024 ** 2)}`, /larger than 1 MiB/],
  ["stands for gigabytes of variables", "# ${BIG}${BIG}${BIG}${BIG}\n".repeat(1_000), /becomes too long/],
  ["replaces each letter with a book", `# \${BIG//a/${"b".repeat(100_000)}}`, /becomes too long/],
  ["matches a variable with many stars", `# \${BIG##${"*a".repeat(400)}*b}`, /^$/],
  ["nests expressions without end", "# ${A:-".repeat(10_000), /nested deeper than 64/],
])(
  "a stack file that %s is read or refused in moments",
  (_what, text, told) => {
    const startedAt = performance.now();
    let message = "";
    try {
      parseStack(HEAD + text, { file: "stack.yml", env: { BIG: "a".repeat(100_000) } });
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(told);
    // Most of it is the YAML parser's own time for the largest text that is taken.
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  },
  60_000,
);

test.each<[what: string, command: string, body: string]>([
  ["a list that is nested without end", "list", "[".repeat(1_000_000)],
  ["a function that is nested without end", "describe f", '{"a":'.repeat(1_000_000)],
  ["a line of logs that is nested without end", "logs f --no-tail", `${"[".repeat(1_000_000)}\n`],
  ["a line of logs without end", "logs f --no-tail", "x".repeat(5 * 1024 ** 2)],
  ["an answer without end", "list", "x".repeat(40 * 1024 ** 2)],
])("a gateway that answers with %s is an error in moments", async (_what, command, body) => {
  await using gateway = await openFakeGateway(() => ({ status: 200, body }));
  await using workspace = await makeWorkspace();
  const startedAt = performance.now();
  const options = { cwd: workspace.path, env: { OPENFAAS_URL: gateway.url } };
  const { code, stderr } = await runHere(command.split(" "), options);
  expect([code, stderr.length < 1_000]).toEqual([1, true]);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
});

test("a stack file cannot make a function's folder of another", async () => {
  const stack = `${HEAD}functions:\n  ../../escaped:\n    lang: t\n    image: f\n    handler: ./fn\n`;
  const { code, stderr } = await layOut({ "project/fn/h.js": "", "project/stack.yml": stack });
  expect([code, stderr]).toEqual([1, expect.stringContaining("cannot name a folder")]);
});

test("a working directory that is gone is told in a line, whatever is asked", async () => {
  await using workspace = await makeWorkspace();
  const gone = join(workspace.path, "gone");
  const main = join(ROOT, "cli/main.ts");
  const script = 'mkdir "$1" && cd "$1" && rmdir "$1" && shift && exec "$@"';
  for (const command of ["--version", "list", "start"]) {
    const asked = [process.execPath, "--disable-warning=ExperimentalWarning", main, command];
    const { status, stdout, stderr } = spawnSync("sh", ["-c", script, "sh", gone, ...asked], { encoding: "utf8" });
    expect([status, stdout, stderr]).toEqual([
      1,
      "",
      expect.stringMatching(/^Error: the working directory is gone.*\n$/),
    ]);
  }
});
