import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { extract, list } from "tar";
import { mergeBuildArgs } from "../../cli/build/build-args.ts";
import { layOutContext } from "../../cli/build/layout.ts";
import { packFolder } from "../../cli/build/pack.ts";
import { digestOfFolder } from "../../cli/build/tag-facts.ts";
import { findTemplate, listTemplates } from "../../cli/build/templates.ts";
import { makeWorkspace } from "./support/run-cli.ts";

const TEMPLATE = {
  "template/node/template.yml": "language: node\n",
  "template/node/Dockerfile": "FROM scratch\n",
  "template/node/index.js": "template\n",
  "template/node/function/handler.js": "sample\n",
  "template/node/function/package.json": "{}\n",
};

/** Lays out one function of `files` with the template `node`; the context as path → text. */
async function layOut(
  files: Readonly<Record<string, string>>,
  {
    handler = "./fn",
    lang = "node",
    name = "fn",
    copyExtra = [] as string[],
    before = async (_path: string) => {},
  } = {},
) {
  await using workspace = await makeWorkspace({ ...TEMPLATE, ...files });
  await before(workspace.path);
  const template = lang === "dockerfile" ? undefined : await findTemplate(lang, [join(workspace.path, "template")]);
  const settings = { baseDir: workspace.path, buildDir: "build", copyExtra, shared: false };
  const folder = await layOutContext({ name, handler }, template, settings);
  expect(folder).toBe(join(workspace.path, "build", name));
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(found.sort().map(async (path) => [path.slice(folder.length + 1), await readFile(path, "utf8")])),
  );
}

test("the handler lies over the template's sample, of which the rest remains", async () => {
  expect(await layOut({ "fn/handler.js": "mine\n", "fn/lib/a.js": "a\n" })).toEqual({
    "template.yml": "language: node\n",
    Dockerfile: "FROM scratch\n",
    "index.js": "template\n",
    "function/handler.js": "mine\n",
    "function/lib/a.js": "a\n",
    "function/package.json": "{}\n",
  });
});

test("a template may name another handler folder", async () => {
  const files = { "template/node/template.yml": "handler_folder: src/main\n", "fn/a.js": "a" };
  expect(await layOut(files)).toMatchObject({ "src/main/a.js": "a", "function/handler.js": "sample\n" });
});

test("a Dockerfile's folder is the whole context", async () => {
  expect(await layOut({ "fn/Dockerfile": "FROM x", "fn/a/b": "b" }, { lang: "dockerfile" })).toEqual({
    Dockerfile: "FROM x",
    "a/b": "b",
  });
});

test("the working directory itself can be the handler: the tool's own folders stay out", async () => {
  const files = { "handler.js": "mine", "build/old/x": "x", "lib/build/kept": "kept", "lib/template/kept": "kept" };
  const context = await layOut(files, { handler: "." });
  expect(Object.keys(context)).toEqual([
    "Dockerfile",
    "function/handler.js",
    "function/lib/build/kept",
    "function/lib/template/kept",
    "function/package.json",
    "index.js",
    "template.yml",
  ]);
});

test.each(["build", "template"])("a handler may have a folder %s of its own", async (name) => {
  const context = await layOut({ "fn/a": "a", [`fn/${name}/x`]: "x", [`fn/lib/${name}/y`]: "y" });
  expect(context).toMatchObject({ [`function/${name}/x`]: "x", [`function/lib/${name}/y`]: "y" });
  const files = { "fn/Dockerfile": "FROM x", [`fn/${name}/x`]: "x" };
  expect(await layOut(files, { lang: "dockerfile" })).toMatchObject({ [`${name}/x`]: "x" });
});

test("what the template's .dockerignore names stays out, of the template and of the handler", async () => {
  const context = await layOut({
    "template/node/.dockerignore": "**/node_modules\n*.md\n*.json\n",
    "template/node/node_modules/a.js": "a",
    "template/node/faaslane.json": "{}",
    "template/node/README.md": "r",
    "fn/node_modules/b.js": "b",
    "fn/lib/node_modules/c.js": "c",
    "fn/README.md": "kept: the pattern is for the root of the context",
  });
  expect(Object.keys(context)).toEqual([
    ".dockerignore",
    "Dockerfile",
    "faaslane.json",
    "function/README.md",
    "function/handler.js",
    "function/package.json",
    "index.js",
    "template.yml",
  ]);
});

test("a handler's own .dockerignore is about its own folder", async () => {
  const context = await layOut(
    {
      "fn/.dockerignore": "*.js\ndata\n!data/kept\ncommon/private",
      "fn/a.js": "a",
      "fn/data/left": "l",
      "fn/data/kept/b": "b",
      "common/private/p": "p",
      "common/c": "c",
    },
    { copyExtra: ["common"] },
  );
  expect(Object.keys(context).filter((path) => path.startsWith("function/"))).toEqual([
    "function/.dockerignore",
    "function/common/c",
    "function/data/kept/b",
    "function/handler.js",
    "function/package.json",
  ]);
  expect(context["index.js"]).toBe("template\n");
});

test("a Dockerfile's folder keeps what every build needs", async () => {
  const files = { "fn/Dockerfile": "FROM x", "fn/faaslane.json": "{}", "fn/.dockerignore": "*\n!src", "fn/src/a": "a" };
  const context = await layOut({ ...files, "fn/other": "o" }, { lang: "dockerfile" });
  expect(Object.keys(context)).toEqual([".dockerignore", "Dockerfile", "faaslane.json", "src/a"]);
});

test("a .dockerignore that makes no sense is named", async () => {
  await expect(layOut({ "fn/.dockerignore": "[z-a]" })).rejects.toThrow(
    /fn\/\.dockerignore: "\[z-a\]" is not a pattern/,
  );
});

test("what an earlier build left is gone", async () => {
  const context = await layOut({ "fn/a": "a", "build/fn/function/stale.js": "stale", "build/other/kept": "kept" });
  expect(Object.keys(context)).not.toContain("function/stale.js");
});

test("extra paths go into the handler folder under their own path", async () => {
  const files = { "fn/a": "a", "common/models/m.js": "m", "LICENSE.txt": "l" };
  const context = await layOut(files, { copyExtra: ["./common/models", "LICENSE.txt"] });
  expect(context).toMatchObject({ "function/common/models/m.js": "m", "function/LICENSE.txt": "l" });
});

test.each([".", "..", "../other", "/etc"])("the extra path %s is refused", async (path) => {
  await expect(layOut({ "fn/a": "a" }, { copyExtra: [path] })).rejects.toThrow("must be below");
});

test("links are followed, whatever they point to", async () => {
  const context = await layOut(
    { "fn/a": "a", "shared/lib/x.js": "x" },
    {
      before: async (path) => {
        await symlink("../shared/lib", join(path, "fn/lib"));
        await symlink("a", join(path, "fn/b"));
      },
    },
  );
  expect(context).toMatchObject({ "function/lib/x.js": "x", "function/b": "a" });
});

test.each([
  ["a link to nothing", "nowhere", "does not exist, or is a link to nothing"],
  ["a link to a folder around it", "..", "it is a link to a folder that holds it"],
  ["a link to itself", "link", "does not exist, or is a link to nothing"],
])("%s is refused", async (_rule, target, message) => {
  const before = (path: string) => symlink(target, join(path, "fn/deep/link"));
  await expect(layOut({ "fn/deep/a": "a" }, { before })).rejects.toThrow(message);
});

test("modes of files are kept, folders are the owner's", async () => {
  await using workspace = await makeWorkspace({ ...TEMPLATE, "fn/run.sh": "#!/bin/sh\n" });
  await chmod(join(workspace.path, "fn/run.sh"), 0o755);
  const template = await findTemplate("node", [join(workspace.path, "template")]);
  const settings = { baseDir: workspace.path, buildDir: "build", copyExtra: [], shared: false };
  const folder = await layOutContext({ name: "fn", handler: "fn" }, template, settings);
  const mode = async (path: string) => (await stat(join(folder, path))).mode & 0o777;
  expect([await mode("."), await mode("function/run.sh"), await mode("index.js")]).toEqual([0o700, 0o755, 0o644]);
});

test.each([
  ["../evil", "cannot name a folder"],
  ["..", "cannot name a folder"],
  ["", "cannot name a folder"],
])("the name %j is refused", async (name, message) => {
  await expect(layOut({ "fn/a": "a" }, { name })).rejects.toThrow(message);
});

test("a handler that is missing is named", async () => {
  await expect(layOut({}, { handler: "./nowhere" })).rejects.toThrow("handler: the folder ./nowhere does not exist");
  await expect(layOut({ afile: "x" }, { handler: "afile" })).rejects.toThrow(
    "handler: the folder afile does not exist",
  );
});

test("a handler folder that leaves the context is refused", async () => {
  const files = { "fn/a": "a", "template/node/template.yml": "handler_folder: ../../escape\n" };
  await expect(layOut(files)).rejects.toThrow("inside of the template");
});

test("the working directory's templates come before those that come with faaslane", async () => {
  await using workspace = await makeWorkspace({
    "mine/node/template.yml": "fprocess: mine",
    "theirs/node/template.yml": "fprocess: theirs",
    "theirs/go@v1/template.yml": "fprocess: go",
    "theirs/README.md": "no template",
    "theirs/half/Dockerfile": "no template",
  });
  const folders = ["none", "mine", "theirs"].map((name) => join(workspace.path, name));
  expect((await findTemplate("node", folders)).fprocess).toBe("mine");
  expect((await findTemplate("go@v1", folders)).fprocess).toBe("go");
  expect(await listTemplates(folders)).toEqual(["go@v1", "node"]);
  for (const lang of ["rust", "Node", "half", "../mine/node", ""]) {
    await expect(findTemplate(lang, folders)).rejects.toThrow("(available: go@v1, node)");
  }
  await expect(findTemplate("node", [])).rejects.toThrow("(there are none)");
});

async function pack(folder: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of packFolder(folder)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test("the same files give the same archive, whenever and by whomever they were written", async () => {
  const files = { "a.js": "a", "b/c.js": "c", "b-d": "d", "@odd": "odd", ".hidden": "h", "über.txt": "u" };
  await using one = await makeWorkspace(files);
  await using two = await makeWorkspace(Object.fromEntries(Object.entries(files).reverse()));
  await utimes(join(two.path, "a.js"), 1, 1);
  await chmod(join(two.path, "a.js"), 0o600);
  await chmod(join(two.path, "b"), 0o700);
  const digest = async (path: string) =>
    createHash("sha256")
      .update(await pack(path))
      .digest("hex");
  expect(await digest(two.path)).toBe(await digest(one.path));

  await chmod(join(two.path, "a.js"), 0o755);
  expect(await digest(two.path)).not.toBe(await digest(one.path));
});

test("an archive holds every file, with neither owners nor times", async () => {
  await using source = await makeWorkspace({ "a.sh": "a", "b/c.js": "c".repeat(200_000), "b/@odd": "odd" });
  await chmod(join(source.path, "a.sh"), 0o700);
  await mkdir(join(source.path, "empty"));
  await using target = await makeWorkspace();
  const file = join(target.path, "context.tar.gz");
  await writeFile(file, await pack(source.path));

  const headers: unknown[] = [];
  await list({
    file,
    onReadEntry: ({ path, mode, uid, uname, mtime }) => headers.push([path, mode, uid, uname, mtime?.getTime()]),
  });
  expect(headers).toEqual([
    ["a.sh", 0o755, undefined, "", 0],
    ["b/", 0o755, undefined, "", undefined],
    ["b/@odd", 0o644, undefined, "", 0],
    ["b/c.js", 0o644, undefined, "", 0],
    ["empty/", 0o755, undefined, "", undefined],
  ]);

  await extract({ file, cwd: target.path });
  expect(await readFile(join(target.path, "b/c.js"), "utf8")).toBe("c".repeat(200_000));
  expect(await readFile(join(target.path, "b/@odd"), "utf8")).toBe("odd");
});

test("the digest of a handler looks at contents in the order of their paths", async () => {
  const md5 = (text: string) => createHash("md5").update(text).digest("hex");
  await using workspace = await makeWorkspace({ "b/x": "one", a: "two" });
  expect(await digestOfFolder(workspace.path)).toBe(md5(md5("two") + md5("one")));
  await writeFile(join(workspace.path, "a"), "three");
  expect(await digestOfFolder(workspace.path)).toBe(md5(md5("three") + md5("one")));
});

test("build arguments: flags over the stack file, packages gathered from everywhere", () => {
  const template = {
    buildOptions: new Map([
      ["dev", ["make", "gcc"]],
      ["db", ["libpq", "gcc"]],
    ]),
  };
  const none = { buildArgs: {}, buildOptions: [] };
  const noFlags = { buildArgs: [], buildOptions: [] };
  expect(mergeBuildArgs(none, noFlags, template)).toEqual({ ADDITIONAL_PACKAGE: "" });
  expect(
    mergeBuildArgs(
      { buildArgs: { A: "stack", B: "stack", ADDITIONAL_PACKAGE: "curl make" }, buildOptions: ["dev"] },
      {
        buildArgs: [
          ["A", "flag"],
          ["ADDITIONAL_PACKAGE", "zip"],
          ["ADDITIONAL_PACKAGE", "bash"],
        ],
        buildOptions: ["db"],
      },
      template,
    ),
  ).toEqual({ A: "flag", B: "stack", ADDITIONAL_PACKAGE: "bash curl gcc libpq make zip" });
  expect(() => mergeBuildArgs({ ...none, buildOptions: ["x"] }, noFlags, template)).toThrow(
    'build option "x" is not known to the template (it has: dev, db)',
  );
  expect(() => mergeBuildArgs(none, { ...noFlags, buildOptions: ["x"] }, undefined)).toThrow("(it has: none)");
});

test("a template that extends another lies over it, with one sample of the two", async () => {
  const files = {
    "template/own/template.yml": "extends: node\n",
    "template/own/index.js": "own\n",
    "template/own/function/handler.ts": "own sample\n",
    "fn/a.js": "a\n",
  };
  expect(await layOut(files, { lang: "own" })).toEqual({
    "template.yml": "extends: node\n",
    Dockerfile: "FROM scratch\n",
    "index.js": "own\n",
    "function/handler.ts": "own sample\n",
    "function/a.js": "a\n",
  });
  const plain = { "template/own/template.yml": "extends: node\n", "fn/a.js": "a\n" };
  expect(await layOut(plain, { lang: "own" })).toMatchObject({ "function/handler.js": "sample\n" });
});

test.each([
  ["itself", { "template/own/template.yml": "extends: own\n" }, "leads in a circle"],
  [
    "one that extends it",
    { "template/own/template.yml": "extends: b\n", "template/b/template.yml": "extends: own\n" },
    "leads in a circle",
  ],
  ["what is not there", { "template/own/template.yml": "extends: nothing\n" }, "which own extends"],
  ["what is elsewhere", { "template/own/template.yml": "handler_folder: ../../secrets\n" }, "inside of the template"],
])("a template that extends %s is refused", async (_rule, files, message) => {
  await expect(layOut({ "fn/a.js": "", ...files }, { lang: "own" })).rejects.toThrow(message);
});
