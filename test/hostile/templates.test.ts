import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, symlink, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";
import { checkOut } from "../../cli/templates/clone.ts";
import { parseTemplateSource } from "../../cli/templates/source.ts";
import { openFakeGateway } from "../cli/support/fake-gateway.ts";
import { makeWorkspace, runHere, type Workspace } from "../cli/support/run-cli.ts";
import { makeRepository, TEMPLATES } from "../cli/support/template-repository.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { missingPrograms } from "../templates/support/programs.ts";

/** What a repository of templates, a store or a stack file of somebody else may try at whoever fetches from it. */
const testGit = testNeeding(unlessRequired(missingPrograms("git")));

const pull = (at: Workspace, source: string, env: Record<string, string> = {}) =>
  runHere(["template", "pull", "--", source], { cwd: at.path, env });

test.each([
  ["an option", "--upload-pack=touch HIT"],
  ["a program, by ext::", "ext::sh -c touch% HIT"],
  ["a program, by a helper of its own", "fd::17"],
  ["a program, by an unknown scheme", "foo://x"],
  ["an option of ssh, as a host", "ssh://-oProxyCommand=touch%20HIT/x"],
  ["an option of ssh, as a user", "ssh://-oProxyCommand=x@host/x"],
  ["an option, as a ref", "https://example.com/a#--upload-pack=touch HIT"],
  ["a path, as a ref", "https://example.com/a#../../x"],
  ["a line break", "https://example.com/a\n--config"],
])("a source that is %s is refused before git runs", async (_what, source) => {
  await using at = await makeWorkspace();
  const { code, stderr } = await pull(at, source);
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^Error: template repository .*: (must|has|what)/)]);
  expect(existsSync(join(at.path, "HIT"))).toBe(false);
});

test.each<[what: string, spoil: (folder: string) => Promise<unknown>, message: RegExp]>([
  ["a link to a file elsewhere", (at) => symlink("/etc/passwd", join(at, "template/ruby/passwd")), /symbolic link/],
  ["a link to a folder elsewhere", (at) => symlink("/etc", join(at, "template/ruby/function/etc")), /symbolic link/],
  ["a link as a template", (at) => symlink("/etc", join(at, "template/etc")), /^Fetched/],
  [
    "a link as the folder of templates",
    async (at) => {
      await promisify(execFile)("mv", [join(at, "template"), join(at, "other")]);
      await symlink("other", join(at, "template"));
    },
    /has no folder template/,
  ],
  [
    "a huge file",
    (at) => writeFile(join(at, "template/ruby/big"), "").then(() => truncate(join(at, "template/ruby/big"), 2 ** 30)),
    /has more than/,
  ],
  ["a pipe", (at) => promisify(execFile)("mkfifo", [join(at, "template/ruby/pipe")]), /neither a file nor a folder/],
  [
    "a name that a terminal acts on",
    async (at) => {
      await mkdir(join(at, "template/\u001b[31m"));
      await writeFile(join(at, "template/\u001b[31m/template.yml"), "");
    },
    /cannot name a template/,
  ],
])("a repository with %s puts nothing of that into ./template", async (_what, spoil, message) => {
  await using repository = await makeWorkspace(TEMPLATES);
  await spoil(repository.path);
  await using at = await makeWorkspace();
  const { code, stdout, stderr } = await pull(at, repository.path);
  expect((stderr.replace(/^Error: /, "") + stdout).trim()).toMatch(message);
  const fetched = await readdir(join(at.path, "template")).catch(() => []);
  expect(fetched).toEqual(code === 0 ? ["perl", "ruby"] : []);
});

testGit("a repository runs nothing: neither hooks nor submodules nor what its attributes name", async () => {
  await using repository = await makeRepository({
    ...TEMPLATES,
    ".gitattributes": "* filter=evil\n",
    ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch HIT"\n\tupdate = !touch HIT\n',
  });
  const hook = join(repository.path, ".git/hooks/post-checkout");
  await writeFile(hook, "#!/bin/sh\ntouch HIT\n", { mode: 0o755 });
  await using at = await makeWorkspace();
  expect(await pull(at, `file://${repository.path}`)).toMatchObject({ code: 0 });
  expect((await readdir(at.path, { recursive: true })).filter((path) => path.includes("HIT"))).toEqual([]);
});

testGit("a repository that is too large is given up", async () => {
  await using repository = await makeRepository({ ...TEMPLATES, big: "x".repeat(100_000) });
  const source = parseTemplateSource(`file://${repository.path}`);
  const settings = { baseDir: "/", env: process.env, maxBytes: 50_000 };
  await expect(checkOut(source, settings)).rejects.toThrow("is larger than 50000 bytes");
});

testGit("a server that never answers is given up", async () => {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => void sockets.add(socket)).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  try {
    const settings = { baseDir: "/", env: process.env, timeoutMs: 500 };
    const source = parseTemplateSource(`http://127.0.0.1:${port}/a.git`);
    await expect(checkOut(source, settings)).rejects.toThrow("took longer than 0.5 s");
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

test("a password in a repository's URL is neither shown nor written down", async () => {
  await using at = await makeWorkspace();
  const { stderr } = await pull(at, "http://me:s3cret@127.0.0.1:1/a.git");
  expect(stderr).toContain("template repository http://127.0.0.1:1/a.git");
  expect(stderr).not.toContain("s3cret");
});

test("a store that never ends is given up", async () => {
  async function* endless() {
    for (;;) {
      await new Promise(setImmediate);
      yield "x".repeat(64 * 1024);
    }
  }
  await using store = await openFakeGateway(() => ({ status: 200, body: endless() }));
  await using at = await makeWorkspace();
  const { code, stderr } = await runHere(["template", "store", "list", "-u", store.url], { cwd: at.path });
  expect([code, stderr]).toEqual([1, expect.stringContaining("larger than 4194304 bytes")]);
});

test("a store that names a program as a repository starts none", async () => {
  await using at = await makeWorkspace({
    "store.json": JSON.stringify([{ template: "evil", repo: "ext::sh -c touch% HIT" }]),
  });
  const { code } = await runHere(["template", "store", "pull", "evil", "-u", "store.json"], { cwd: at.path });
  expect([code, existsSync(join(at.path, "HIT"))]).toEqual([1, false]);
});
