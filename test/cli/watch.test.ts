import { mkdir, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { parseStack } from "../../cli/stack/parse.ts";
import { affectedFunctions, compareStacks } from "../../cli/watch/affected.ts";
import { changedFiles, describeChange, takeSnapshot } from "../../cli/watch/snapshot.ts";
import { eventually } from "../support/eventually.ts";
import { jsonOf, type Seen } from "./support/fake-gateway.ts";
import { makeWorkspace } from "./support/run-cli.ts";
import { FILES, openScene, STACK } from "./support/scene.ts";

const stackOf = (text: string) => parseStack(text, { file: "stack.yml", env: {} });

test("a file that is new, gone, renamed or written anew has changed, wherever below a root it is", async () => {
  await using workspace = await makeWorkspace({
    "f/a": "1",
    "f/deep/b": "1",
    "f/c": "1",
    "f/same": "1",
    "env.yml": "",
  });
  const at = (name: string) => join(workspace.path, name);
  const roots = [at("f"), at("env.yml"), at("missing.yml")];
  const before = await takeSnapshot(roots);
  await writeFile(at("f/a"), "22");
  await rm(at("f/c"));
  await rename(at("f/deep/b"), at("f/deep/d"));
  await utimes(at("env.yml"), 1, 1);
  await writeFile(at("missing.yml"), "");
  const after = await takeSnapshot(roots);
  const changed = ["env.yml", "f/a", "f/c", "f/deep/b", "f/deep/d", "missing.yml"];
  expect(changedFiles(before, after)).toEqual(changed.map(at));
  expect(changedFiles(after, after)).toEqual([]);
  expect(describeChange(changed)).toBe("env.yml, a, c and 3 more");
});

test("what editors and tools leave beside the sources is no change, nor is a link that leads back", async () => {
  await using workspace = await makeWorkspace({ "f/a": "1" });
  const at = (name: string) => join(workspace.path, "f", name);
  const before = await takeSnapshot([at("")]);
  for (const name of ["a~", ".a.swp", ".#a", "4913", "node_modules/x/index.js", ".git/HEAD", "out/ignored"]) {
    await mkdir(join(at(name), ".."), { recursive: true });
    await writeFile(at(name), "");
  }
  await symlink(".", at("itself"));
  const after = await takeSnapshot([at("")], (path) => path === at("out"));
  expect(changedFiles(before, after)).toEqual([]);
});

test("files of a root that was not looked at before are no change", async () => {
  await using workspace = await makeWorkspace({ "f/a": "1", "g/b": "1" });
  const at = (name: string) => join(workspace.path, name);
  expect(changedFiles(await takeSnapshot([at("f")]), await takeSnapshot([at("f"), at("g")]))).toEqual([]);
});

test.each<[changed: string, expected: string[]]>([
  ["hello/handler.js", ["hello", "second"]],
  ["hello/deep/er.js", ["hello", "second"]],
  ["env.yml", ["hello"]],
  ["template/node/index.js", ["hello", "second"]],
  ["shared/lib.js", ["hello", "second"]],
  ["hello2/handler.js", []],
  ["stack.yml", []],
])("a change of %s concerns %j", (changed, expected) => {
  const { functions } = stackOf(STACK);
  const project = { baseDir: "/p", copyExtra: ["shared"] };
  expect(affectedFunctions(functions, [`/p/${changed}`], project).map(({ name }) => name)).toEqual(expected);
});

test("a stack file concerns the functions that it says something else of", () => {
  const other = STACK.replace("second:1.0", "second:2.0").replace("  hello:", "  third: {image: x}\n  hello:");
  const names = ({ changed, gone }: ReturnType<typeof compareStacks>) => [changed.map(({ name }) => name), gone];
  expect(names(compareStacks(stackOf(STACK), stackOf(other)))).toEqual([["third", "second"], []]);
  expect(names(compareStacks(stackOf(other), stackOf(STACK)))).toEqual([["second"], ["third"]]);
  expect(names(compareStacks(stackOf(STACK), stackOf(`# ${STACK}`.replace("# ", "# x\n"))))).toEqual([[], []]);
  expect(names(compareStacks(stackOf(STACK), stackOf(`${STACK}configuration: {copy: [lib]}\n`)))[0]).toHaveLength(2);
});

test("up --watch builds and deploys what changes, whatever fails on the way, until it is interrupted", async () => {
  const built = { status: "success", image: "i@sha256:00" };
  let failing = false;
  await using scene = await openScene(({ path }) => {
    if (path !== "/system/build") return { status: 202 };
    const failed = { status: "failed", image: "", error: "syntax error", log: [] };
    const lines = failing ? [{ status: "in_progress", image: "", log: ["at line 1"] }, failed] : [built];
    return { status: 200, body: lines.map((line) => `${JSON.stringify(line)}\n`) };
  });
  const file = (name: string) => join(scene.workspace.path, name);
  const deployed = () => scene.gateway.seen.filter(({ method }) => method === "PUT").map(serviceOf);
  const seen = async (what: string, count: number, method = "PUT") =>
    await eventually(
      what,
      () => scene.gateway.seen.filter((request) => request.method === method).length >= count,
      30_000,
    );
  const stop = new AbortController();
  const ended = scene.run("up --watch", { signal: stop.signal });

  await seen("everything is deployed once", 2);
  // It looks at the files once it has deployed them; what has changed by then is not news.
  await changeUntil(
    () => writeFile(file("env.yml"), `environment: {A: "${Date.now()}"}`),
    () => deployed().length > 2,
  );
  expect(deployed().slice(0, 3)).toEqual(["hello", "second", "hello"]);

  failing = true;
  const builds = scene.gateway.seen.filter(({ method }) => method === "POST").length;
  await writeFile(file("hello/handler.js"), "broken");
  await seen("both are built again", builds + 2, "POST");
  failing = false;
  await writeFile(file("stack.yml"), "functions: [");
  await changeUntil(
    () => writeFile(file("stack.yml"), STACK.replace("second:1.0", `second:${Date.now()}`)),
    () => deployed().at(-1) === "second" && deployed().length > 3,
  );
  stop.abort();
  const { code, stdout, stderr } = await ended;
  expect(code).toBe(0);
  expect(stdout).toContain("Watching hello, second. Stop with Ctrl-C.\n");
  expect(stdout).toMatch(/^hello: changed env.yml\nhello: deployed in \d+\.\d\d s$/m);
  expect(stdout).toMatch(/^second: changed stack.yml\nsecond: deployed in/m);
  expect(stderr).toContain("hello | at line 1\nError: hello: syntax error\n");

  /** Changes again until it has been noticed: a test cannot know when the looking begins. */
  async function changeUntil(change: () => Promise<void>, noticed: () => boolean): Promise<void> {
    await eventually(
      "a change is noticed",
      async () => {
        await change();
        return await eventually("soon", noticed, 2_000).catch(() => false);
      },
      30_000,
    );
  }
}, 120_000);

test("--watch wants to deploy", async () => {
  await using scene = await openScene(() => ({ status: 202 }), FILES);
  const { code, stderr } = await scene.run("up --watch --skip-deploy");
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: "Error: --watch and --skip-deploy cannot be used together\n",
  });
});

function serviceOf(request: Seen): string {
  return (jsonOf(request) as { service: string }).service;
}
