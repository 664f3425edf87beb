import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { parseTemplateSource } from "../../../cli/templates/source.ts";
import { describeNeeding, unlessRequired } from "../../support/needing.ts";
import { missingPrograms } from "../../templates/support/programs.ts";
import { json } from "../support/fake-gateway.ts";
import { makeWorkspace } from "../support/run-cli.ts";
import { accepted, openScene, type Scene } from "../support/scene.ts";
import { makeRepository, TEMPLATES } from "../support/template-repository.ts";

const describeGit = describeNeeding(unlessRequired(missingPrograms("git")));
const templatesOf = async ({ workspace }: Scene) => (await readdir(join(workspace.path, "template"))).sort();
const read = ({ workspace }: Scene, path: string) => readFile(join(workspace.path, path), "utf8");

const STORE = [
  { template: "ruby", platform: "x86_64", language: "Ruby", source: "me", description: "Rubies", official: "true" },
  { template: "perl", platform: "arm64", language: "Perl", source: "me", description: "Pearls", official: "false" },
  { template: "awk", platform: "x86_64", source: "you", official: "false", recommended: true },
];
const storeOf = (repo: string) => JSON.stringify(STORE.map((template) => ({ ...template, repo })));

describe("template pull", () => {
  test("copies the templates of a folder, and says which", async () => {
    await using repository = await makeWorkspace(TEMPLATES);
    await using scene = await openScene(accepted, {});
    expect(await scene.run(`template pull ${repository.path}`)).toEqual({
      code: 0,
      stdout: "Fetched 2 templates: perl, ruby\n",
      stderr: "",
    });
    expect(await templatesOf(scene)).toEqual(["perl", "ruby"]);
    expect(JSON.parse(await read(scene, "template/ruby/meta.json"))).toEqual({
      repository: repository.path,
      ref_name: "",
      sha: "",
      written_at: expect.stringMatching(/^\d{4}-/),
    });
    expect((await scene.run("template list")).stdout).toBe("perl\nruby\n");
  });

  test("copies over what is there, unless told not to", async () => {
    await using repository = await makeWorkspace(TEMPLATES);
    await using scene = await openScene(accepted, { "template/ruby/own.rb": "own", "template/ruby/Dockerfile": "old" });
    const refused = await scene.run(`template pull ${repository.path} --overwrite=false`);
    expect(refused.stderr).toContain("ruby: exists already");
    expect(await templatesOf(scene)).toEqual(["ruby"]);
    expect(await scene.run(`template pull ${repository.path}`)).toMatchObject({ code: 0 });
    expect([await read(scene, "template/ruby/Dockerfile"), await read(scene, "template/ruby/own.rb")]).toEqual([
      "FROM ruby\n",
      "own",
    ]);
  });

  test.each([
    ["no folder", "template pull ./nowhere", "there is no such folder"],
    ["no templates", "template pull .", "has no folder template/"],
    ["no stack file", "template pull stack", "there is no stack.yaml or stack.yml here"],
  ])("says that there is %s", async (_rule, args, message) => {
    await using scene = await openScene(accepted, { "template.txt": "" });
    const { code, stderr } = await scene.run(args);
    expect([code, stderr.trim().split("\n").length]).toEqual([1, 1]);
    expect(stderr).toContain(message);
  });
});

describeGit("with git", () => {
  test("a branch, a tag or a commit is what follows #", async () => {
    await using repository = await makeRepository(TEMPLATES);
    const first = await repository.git("rev-parse", "HEAD");
    await repository.git("tag", "1.0");
    await writeFile(join(repository.path, "template/ruby/Dockerfile"), "FROM other\n");
    await repository.git("commit", "--quiet", "--all", "--message=second");
    await using scene = await openScene(accepted, {});
    const url = `file://${repository.path}`;
    const dockerfile = async (ref: string) => {
      expect(await scene.run(`template pull ${url}${ref}`)).toMatchObject({ code: 0 });
      return await read(scene, "template/ruby/Dockerfile");
    };
    expect(await dockerfile("")).toBe("FROM other\n");
    expect(await dockerfile("#1.0")).toBe("FROM ruby\n");
    expect(JSON.parse(await read(scene, "template/ruby/meta.json"))).toMatchObject({
      repository: url,
      ref_name: "1.0",
      sha: first,
    });
    expect(await dockerfile("#main")).toBe("FROM other\n");
    expect(await dockerfile(`#sha-${first.slice(0, 10)}`)).toBe("FROM ruby\n");
    const missing = await scene.run(`template pull ${url}#2.0`);
    expect(missing.stderr).toMatch(/^Error: template repository file:.*#2\.0: .*2\.0 not found/);
    expect((await scene.run(`template pull ${repository.path}#1.0`)).code).toBe(0);
  });

  test("the repository of a variable is taken where none is named", async () => {
    await using repository = await makeRepository(TEMPLATES);
    await using scene = await openScene(accepted, {});
    const env = { OPENFAAS_TEMPLATE_URL: `file://${repository.path}` };
    expect((await scene.run("template pull", { env })).stdout).toBe("Fetched 2 templates: perl, ruby\n");
  });

  test("a build fetches what configuration.templates names, once, and only that", async () => {
    await using repository = await makeRepository(TEMPLATES);
    const fn = (name: string) => `  ${name}: { lang: ruby, handler: ./fn, image: ${name} }\n`;
    await using scene = await openScene(accepted, {
      "fn/handler.rb": "mine",
      "stack.yml": `provider: { name: openfaas }\nfunctions:\n${fn("one")}${fn("two")}configuration:\n  templates:\n    - { name: ruby, source: "file://${repository.path}" }\n`,
    });
    const off = await scene.run("build --shrinkwrap --disable-stack-pull");
    expect(off.stderr).toContain('there is no template for lang "ruby" (there are none)');
    const built = await scene.run("build --shrinkwrap --parallel 2");
    expect(built).toMatchObject({ code: 0, stderr: "" });
    expect(built.stdout.match(/Fetching template ruby from/g)).toHaveLength(1);
    expect(await templatesOf(scene)).toEqual(["ruby"]);
    expect(await read(scene, "build/two/function/handler.rb")).toBe("mine");
    expect((await scene.run("template pull stack")).code).toBe(0);
    await writeFile(join(scene.workspace.path, "stack.yml"), "provider: { name: openfaas }\nfunctions: {}\n");
    expect((await scene.run("template pull stack")).stderr).toContain("has no configuration.templates");
  });

  test("new and lang: name@ref find templates in the store", async () => {
    await using repository = await makeRepository(TEMPLATES);
    await repository.git("tag", "1.0");
    await using scene = await openScene(accepted, { "store.json": storeOf(`file://${repository.path}`) });
    const env = { OPENFAAS_TEMPLATE_STORE_URL: "store.json" };
    expect(await scene.run("new hello --lang ruby", { env })).toMatchObject({ code: 0 });
    expect(await scene.run("new again --lang perl@1.0 --append stack.yaml", { env })).toMatchObject({ code: 0 });
    expect(await templatesOf(scene)).toEqual(["perl@1.0", "ruby"]);
    expect(await scene.run("build --shrinkwrap", { env })).toMatchObject({ code: 0 });
    const unknown = await scene.run("new no --lang cobol --append stack.yaml", { env });
    expect(unknown.stderr).toBe(
      'Error: there is no template for lang "cobol" (available: perl@1.0, ruby); ' +
        'the template store has no template "cobol"\n',
    );
  });

  test("template store pull takes one", async () => {
    await using repository = await makeRepository(TEMPLATES);
    await using scene = await openScene(accepted, { "store.json": storeOf(`file://${repository.path}`) });
    expect(await scene.run("template store pull ruby -u store.json")).toMatchObject({ code: 0 });
    expect(await templatesOf(scene)).toContain("ruby");
  });
});

describe("template store", () => {
  const scene = () => openScene(() => json(JSON.parse(storeOf("https://example.com/r.git"))), {});

  test("lists what is recommended first, then by name", async () => {
    await using at = await scene();
    const { stdout } = await at.run(`template store list --url ${at.gateway.url}/templates.json`);
    expect(stdout.split("\n").map((line) => line.split(/\s+/)[0])).toEqual(["NAME", "awk", "perl", "ruby", ""]);
    expect(at.asked()).toEqual(["GET /templates.json"]);
  });

  test.each([
    ["-o", ["ruby"]],
    ["-r", ["awk"]],
    ["-p X86_64", ["awk", "ruby"]],
  ])("lists with %s", async (flags, expected) => {
    await using at = await scene();
    const { stdout } = await at.run(`template store list --json ${flags} -u ${at.gateway.url}`);
    expect((JSON.parse(stdout) as { template: string }[]).map(({ template }) => template)).toEqual(expected);
  });

  test("describes", async () => {
    await using at = await scene();
    const env = { OPENFAAS_TEMPLATE_STORE_URL: at.gateway.url };
    expect((await at.run("template store describe ruby", { env })).stdout).toMatch(
      /Name: +ruby\n.*Rubies\n[\s\S]*Repository: +https:\/\/example.com\/r.git\nOfficial: +true/,
    );
    expect((await at.run("template store describe cobol", { env })).stderr).toContain('no template "cobol"');
  });

  test.each([
    ["nobody is there", "http://127.0.0.1:1/t.json", /cannot be read: this machine is offline or cannot reach it \(/],
    ["it is no store", "store.json", /template store store.json: .*/],
    ["there is no file", "missing.json", /cannot be read: ENOENT/],
  ])("says in a line that %s", async (_rule, url, message) => {
    await using at = await openScene(accepted, { "store.json": '{"template": 1}' });
    const { code, stderr } = await at.run(`template store list -u ${url}`);
    expect([code, stderr.trim().split("\n").length]).toEqual([1, 1]);
    expect(stderr).toMatch(message);
  });
});

test.each([
  ["https://example.com/a.git", "https://example.com/a.git", undefined],
  ["https://example.com/a.git#v1.0", "https://example.com/a.git", { name: "v1.0", commit: undefined }],
  ["https://example.com/a#sha-0123abc", "https://example.com/a", { name: "sha-0123abc", commit: "0123abc" }],
  ["git@example.com:a/b.git#feature/x", "git@example.com:a/b.git", { name: "feature/x", commit: undefined }],
])("%s names a repository", (text, location, ref) => {
  expect(parseTemplateSource(text)).toEqual({ location, local: false, ref });
});
