import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { extract } from "tar";
import { jsonOf, type Reply, type Seen } from "../support/fake-gateway.ts";
import { accepted, openScene, STACK } from "../support/scene.ts";

describe("build", () => {
  const events = (...lines: object[]): Reply => ({
    status: 200,
    body: lines.map((line) => `${JSON.stringify(line)}\n`),
  });
  const built = (image: string) => events({ status: "in_progress", log: ["one"] }, { status: "success", image });

  async function formOf({ headers, body }: Seen): Promise<FormData> {
    const type = { "Content-Type": headers["content-type"] ?? "" };
    return await new Response(body as Buffer<ArrayBuffer>, { headers: type }).formData();
  }

  test("uploads each context with its arguments, and prints what the builds write", async () => {
    await using scene = await openScene(() => built("x@sha256:00"));
    const { code, stdout, stderr } = await scene.run("build --parallel 2 -b X=1 -b ADDITIONAL_PACKAGE=curl");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^hello: building$/m);
    expect(stdout).toMatch(/^hello \| one$/m);
    expect(stdout).toMatch(/^second: built second:1\.0 in \d+\.\d s$/m);
    expect(stdout).not.toContain("\u001b");

    const forms = await Promise.all(scene.gateway.seen.map(formOf));
    const configs = forms.map((form) => JSON.parse(form.get("config") as string) as { image: string });
    expect(configs.sort((a, b) => (a.image < b.image ? -1 : 1))).toEqual([
      { image: "hello:latest", buildArgs: { X: "1", ADDITIONAL_PACKAGE: "curl make" } },
      { image: "second:1.0", buildArgs: { X: "1", ADDITIONAL_PACKAGE: "curl" } },
    ]);
    const target = join(scene.workspace.path, "unpacked");
    await mkdir(target);
    await writeFile(`${target}.tgz`, Buffer.from(await ((forms[0] as FormData).get("context") as File).arrayBuffer()));
    await extract({ file: `${target}.tgz`, cwd: target });
    expect(await readFile(join(target, "function/handler.js"), "utf8")).toBe("mine");
  });

  test("goes on after a failure, which it tells at the end", async () => {
    await using scene = await openScene(async (request) => {
      const { image } = JSON.parse((await formOf(request)).get("config") as string) as { image: string };
      return image.startsWith("hello") ? events({ status: "failed", error: "npm: not found" }) : built(image);
    });
    const { code, stdout, stderr } = await scene.run("build");
    expect({ code, stderr }).toEqual({ code: 1, stderr: "Error: hello: npm: not found\n" });
    expect(stdout).toMatch(/^second: built/m);
  });

  test.each<[rule: string, reply: Reply | undefined, message: string]>([
    [
      "an answer that stops short",
      events({ status: "in_progress", log: [] }),
      "the builder ended before the build was done",
    ],
    ["an answer of another kind", { status: 200, body: "<html>" }, "a line that is not JSON"],
    ["an unknown event", events({ status: "odd" }), "build event: status"],
    ["a gateway that cannot build", { status: 501, body: "no builder here" }, "501 Not Implemented: no builder here"],
    ["a gateway that hangs up", undefined, "closed the connection"],
  ])("%s is a failure", async (_rule, reply, message) => {
    await using scene = await openScene(() => reply);
    const { code, stderr } = await scene.run("build --filter second");
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });

  test("--no-cache makes a build that no builder has seen before", async () => {
    await using scene = await openScene(() => built("x"));
    await scene.run("build --filter second --no-cache");
    await scene.run("build --filter second --no-cache=true");
    await scene.run("build --filter second");
    const configs = (await Promise.all(scene.gateway.seen.map(formOf))).map((form) => form.get("config"));
    expect(new Set(configs).size).toBe(3);
    expect(configs[2]).not.toContain("CACHEBUST");
  });

  test("--shrinkwrap only lays out, and asks nobody", async () => {
    await using scene = await openScene(accepted);
    const { code, stdout } = await scene.run("build --shrinkwrap --quiet");
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout:
        "hello: building\nhello: shrink-wrapped to build/hello\nsecond: building\nsecond: shrink-wrapped to build/second\n",
    });
    expect(scene.asked()).toEqual([]);
    expect(await readFile(join(scene.workspace.path, "build/second/function/handler.js"), "utf8")).toBe("mine");
  });

  test("what has no lang, or says so, is not built", async () => {
    const stack =
      "provider: {name: openfaas}\nfunctions:\n  a: {image: a}\n  b: {image: b, lang: node, skip_build: true}\n";
    await using scene = await openScene(accepted, { "stack.yml": stack });
    const { code, stdout } = await scene.run("build");
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "a: not built, it has no lang\nb: not built, skip_build is set\n",
    });
    expect(scene.asked()).toEqual([]);
  });

  test("one function by flags; options and secrets that cannot be had are errors", async () => {
    await using scene = await openScene(() => built("x"));
    expect(await scene.run("build --name own --image own --handler hello --lang node")).toMatchObject({ code: 0 });
    expect((await scene.run("build -o nope")).stderr).toContain('build option "nope" is not known to the template');
    expect((await scene.run("build --parallel 0")).stderr).toContain("--parallel must be a whole number");
    expect((await scene.run("build -b A")).stderr).toContain("--build-arg must be key=value");
    const secret = `${STACK}    build_secrets: {npmrc: .npmrc}\n`;
    await writeFile(join(scene.workspace.path, "stack.yml"), secret);
    expect((await scene.run("build --filter second")).stderr).toContain("build_secrets: the builder takes no secrets");
  });

  test("up deploys what could be built", async () => {
    await using scene = await openScene(async (request) => {
      if (request.path !== "/system/build") return accepted();
      const { image } = JSON.parse((await formOf(request)).get("config") as string) as { image: string };
      return image.startsWith("hello") ? events({ status: "failed", error: "no" }) : built(image);
    });
    const { code, stderr } = await scene.run("up --tag digest --skip-push");
    expect({ code, stderr }).toEqual({ code: 1, stderr: "Error: hello: no\n" });
    const deployed = scene.gateway.seen.filter(({ path }) => path === "/system/functions").map(jsonOf);
    const config = JSON.parse((await formOf(scene.gateway.seen[1] as Seen)).get("config") as string) as {
      image: string;
    };
    expect(config.image).toMatch(/^second:[0-9a-f]{32}$/);
    expect(deployed).toEqual([expect.objectContaining({ service: "second", image: config.image })]);

    expect(scene.asked()).toHaveLength(3);
    await scene.run("up --skip-deploy --filter second");
    expect(scene.asked()).toEqual(["POST /system/build"]);
  });
});
