import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { accepted, openScene, type Scene, STACK } from "../support/scene.ts";

describe("new", () => {
  const templates = {
    "template/node/template.yml": "welcome_message: |\n  Welcome.\n",
    "template/node/function/handler.js": "sample",
    "template/java/template.yml": "handler_folder: src\n",
    "template/java/src/Main.java": "class",
  };
  const read = (scene: Scene, path: string) => readFile(join(scene.workspace.path, path), "utf8");

  test("makes a handler, a stack file that can be read, and ignores what is built", async () => {
    await using scene = await openScene(accepted, templates);
    const { code, stdout } = await scene.run("new hello --lang node -p reg.io/me --memory-limit 64Mi");
    expect(code).toBe(0);
    expect(stdout).toBe("Function created in folder: hello\nStack file written: stack.yaml\n\nWelcome.\n");
    expect(await read(scene, "stack.yaml")).toBe(`version: 1.0
provider:
  name: openfaas
  gateway: ${scene.gateway.url}
functions:
  hello:
    lang: node
    handler: ./hello
    image: reg.io/me/hello:latest
    limits:
      memory: 64Mi
`);
    expect(await read(scene, "hello/handler.js")).toBe("sample");
    expect(await read(scene, ".gitignore")).toBe("template\nbuild\n.secrets\n");
    const mode = async (path: string) => (await stat(join(scene.workspace.path, path))).mode & 0o777;
    expect([await mode("hello"), await mode("stack.yaml")]).toEqual([0o700, 0o600]);
    expect((await scene.run("build --shrinkwrap")).code).toBe(0);

    expect(await scene.run("new other --lang java --append stack.yaml --handler ./src/other -q")).toMatchObject({
      code: 0,
    });
    expect(await read(scene, "src/other/Main.java")).toBe("class");
    expect(await read(scene, "stack.yaml")).toMatch(/ {2}other:\n {4}lang: java\n {4}handler: \.\/src\/other\n/);
    expect(await read(scene, ".gitignore")).toBe("template\nbuild\n.secrets\n");
    expect((await scene.run("new --list")).stdout).toBe("Languages available as templates:\n- java\n- node\n");
  });

  test("adds to the functions of a file that goes on behind them", async () => {
    const further = "\n# Who gets what.\ntriggers:\n  t: {subscriber: {function: hello}}\n";
    await using scene = await openScene(accepted, { ...templates, "stack.yml": `${STACK}${further}` });
    expect((await scene.run("new x --lang node -a stack.yml")).code).toBe(0);
    const text = await read(scene, "stack.yml");
    expect(text.startsWith(`${STACK}  x:\n    lang: node\n`)).toBe(true);
    expect(text.endsWith(further)).toBe(true);
  });

  test.each<[rule: string, args: string, message: string]>([
    ["no name", "new --lang node", "please provide a name"],
    ["no template", "new x", "please choose a template with --lang"],
    ["an unknown template", "new x --lang go", "(available: java, node)"],
    ["a name that is none", "new Bad_Name --lang node", "cannot name a function"],
    ["an existing folder", "new template --lang node", "the folder template exists already"],
    [
      "an existing stack file",
      "new x --lang node",
      "stack.yml exists already; add the function to it with --append stack.yml",
    ],
    ["a file that is no stack file", "new x --lang node -a notes.txt", "--append must name a .yml or .yaml file"],
    ["a file that is missing", "new x --lang node -a no.yml", "--append: cannot read no.yml"],
    ["a function that is there", "new hello --lang node -a stack.yml", "has a function hello already"],
    [
      "a file that is written otherwise",
      "new x --lang node -a ends.yml",
      "functions must be a block, indented by two spaces",
    ],
  ])("refuses %s", async (_rule, args, message) => {
    const ends = "provider: {name: openfaas}\nfunctions: {a: {image: a}}\nconfiguration:\n  copy: [a]\n";
    await using scene = await openScene(accepted, { ...templates, "stack.yml": STACK, "ends.yml": ends });
    const { code, stderr } = await scene.run(args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    await expect(stat(join(scene.workspace.path, "x"))).rejects.toThrow("ENOENT");
    expect([await read(scene, "stack.yml"), await read(scene, "ends.yml")]).toEqual([STACK, ends]);
  });
});
