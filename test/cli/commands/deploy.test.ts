import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { jsonOf } from "../support/fake-gateway.ts";
import { accepted, FILES, openScene, STACK } from "../support/scene.ts";

describe("deploy", () => {
  test("sends what the stack file, its environment files and its templates say", async () => {
    await using scene = await openScene(accepted);
    const { code, stdout, stderr } = await scene.run("deploy");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(
      `Deploying: hello.\n\nDeployed. 202 Accepted.\nURL: ${scene.gateway.url}/function/hello.dev\n`,
    );
    expect(stdout).toContain(`URL: ${scene.gateway.url}/function/second\n`);
    expect(scene.gateway.seen.map((request) => [request.method, request.path, jsonOf(request)])).toEqual([
      [
        "PUT",
        "/system/functions",
        {
          service: "hello",
          image: "hello:latest",
          namespace: "dev",
          envProcess: "node index.js",
          envVars: { A: "file", B: "1.10" },
          labels: { team: "x" },
          annotations: {},
        },
      ],
      [
        "PUT",
        "/system/functions",
        { service: "second", image: "second:1.0", envProcess: "own", labels: {}, annotations: {} },
      ],
    ]);
  });

  test("shows what does not hold of what was accepted", async () => {
    const headers = { Warning: '299 - "constraints: have no meaning here", 299 - "limits.cpu: does not hold"' };
    await using scene = await openScene(() => ({ status: 202, headers }));
    const { code, stdout } = await scene.run("deploy --filter second");
    expect(code).toBe(0);
    expect(stdout).toContain(
      "/function/second\nWarning: constraints: have no meaning here\nWarning: limits.cpu: does not hold\n",
    );
  });

  test("flags win over the stack file", async () => {
    await using scene = await openScene(accepted);
    const flags =
      "deploy --filter hello -n prod -e A=flag -e C=x=y -l team=z -l size=s --annotation a=b --secret s --constraint c --readonly --read-template=false";
    expect(await scene.run(flags)).toMatchObject({ code: 0 });
    expect(scene.gateway.seen.map(jsonOf)).toEqual([
      {
        service: "hello",
        image: "hello:latest",
        namespace: "prod",
        envVars: { A: "flag", B: "1.10", C: "x=y" },
        constraints: ["c"],
        secrets: ["s"],
        labels: { team: "z", size: "s" },
        annotations: { a: "b" },
        readOnlyRootFilesystem: true,
      },
    ]);
  });

  test("creates what cannot be updated, and nothing else", async () => {
    await using scene = await openScene(({ method }) => ({ status: method === "PUT" ? 404 : 202 }));
    expect(await scene.run("deploy --filter second")).toMatchObject({ code: 0 });
    expect(scene.asked()).toEqual(["PUT /system/functions", "POST /system/functions"]);

    scene.gateway.respond = () => ({ status: 400, body: "bad\nimage\n" });
    const { code, stderr } = await scene.run("deploy --filter second");
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "Error: second: Unexpected status: 400, message: bad image\n",
    });
    expect(scene.asked()).toEqual(["PUT /system/functions"]);
  });

  test.each<[flags: string, expected: string[]]>([
    ["--update=false", ["POST"]],
    ["--update=true", ["PUT"]],
    ["--replace --update=false", ["DELETE", "POST"]],
    ["--replace=true", ["DELETE", "POST"]],
    ["--replace=false", ["PUT"]],
  ])("%s", async (flags, expected) => {
    await using scene = await openScene(accepted);
    expect(await scene.run(`deploy --regex ^second$ ${flags}`)).toMatchObject({ code: 0 });
    expect(scene.gateway.seen.map(({ method }) => method)).toEqual(expected);
  });

  test.each([200, 202, 201, 204, 409, 500])("a %i is success only where clients agree that it is", async (status) => {
    await using scene = await openScene(() => ({ status }));
    expect((await scene.run("deploy --filter second")).code).toBe(status === 200 || status === 202 ? 0 : 1);
  });

  test("one that fails does not stop the others, and all failures are told at the end", async () => {
    await using scene = await openScene((request) => ({
      status: (jsonOf(request) as { service: string }).service === "hello" ? 500 : 202,
      body: "it broke",
    }));
    const { code, stdout, stderr } = await scene.run("deploy");
    expect(code).toBe(1);
    expect(stderr).toBe("Error: hello: Unexpected status: 500, message: it broke\n");
    expect(stdout).toContain("/function/second");
  });

  test("a function given by flags needs no stack file", async () => {
    await using scene = await openScene(accepted, {});
    const flags = "deploy --image i:1 --name plain --fprocess cat --memory-limit 1Gi --cpu-request 10m --env=a=1";
    expect(await scene.run(flags)).toMatchObject({ code: 0 });
    expect(scene.gateway.seen.map(jsonOf)).toEqual([
      {
        service: "plain",
        image: "i:1",
        envProcess: "cat",
        envVars: { a: "1" },
        labels: {},
        annotations: {},
        limits: { memory: "1Gi" },
        requests: { cpu: "10m" },
      },
    ]);
  });

  test.each<[rule: string, args: string, message: string]>([
    ["an empty value", "deploy -e A=", "--env must be key=value, neither of them empty"],
    ["no equals sign", "deploy -l A", "--label must be key=value"],
    ["both ways at once", "deploy --update --replace", "--update and --replace cannot be used together"],
    ["two filters", "deploy --filter a --regex b", "--filter and --regex cannot be used together"],
    ["a filter for nobody", "deploy --filter nobody", 'no function of the stack file matches --filter "nobody"'],
    [
      "a stack file that is missing",
      "deploy -f nowhere.yml",
      "cannot read the stack file nowhere.yml: there is no such file",
    ],
    ["an unknown way to tag", "deploy --tag date", "--tag must be one of"],
    ["a timeout that is none", "deploy --timeout soon", "--timeout must be a duration"],
    ["a word too many", "deploy now", "too many arguments"],
    ["an unknown flag", "deploy --nope", "unknown option '--nope'"],
  ])("refuses %s", async (_rule, args, message) => {
    await using scene = await openScene(accepted);
    const { code, stdout, stderr } = await scene.run(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(scene.asked()).toEqual([]);
  });

  test("a missing template, image or environment file fails that function alone", async () => {
    const stack = `${STACK}  third: {image: x, lang: cobol}\n  fourth: {lang: node}\n  fifth: {image: x, environment_file: [no.yml]}\n`;
    await using scene = await openScene(accepted, { ...FILES, "stack.yml": stack });
    const { code, stderr } = await scene.run("deploy");
    expect(code).toBe(1);
    expect(stderr.split("\n")).toEqual([
      expect.stringMatching(
        /^Error: third: there is no template for lang "cobol" \(available: node\); --read-template=false/,
      ),
      "Error: fourth: image: is missing from the stack file",
      expect.stringMatching(/^Error: fifth: environment_file: cannot read no\.yml: ENOENT/),
      "",
    ]);
    expect(scene.asked()).toHaveLength(2);
  });

  test("without anything to deploy", async () => {
    await using scene = await openScene(accepted, {});
    expect((await scene.run("deploy")).stderr).toBe(
      "Error: there is no stack.yaml or stack.yml here: name one with -f, or give --image and --name\n",
    );
    await writeFile(join(scene.workspace.path, "stack.yaml"), "provider: {name: openfaas}");
    expect((await scene.run("deploy")).stderr).toBe("Error: the stack file has no functions\n");
  });

  test("stack.yaml comes before stack.yml, and flags may stand before the command", async () => {
    const other = STACK.replaceAll("second:", "other:");
    await using scene = await openScene(accepted, { ...FILES, "stack.yaml": other, "sub/my.yml": STACK });
    const services = () =>
      scene.gateway.seen.splice(0).map((request) => (jsonOf(request) as { service: string }).service);
    await scene.run("deploy");
    expect(services()).toEqual(["hello", "other"]);
    await scene.run("-f sub/my.yml --filter sec* deploy");
    expect(services()).toEqual(["second"]);
    await scene.run("deploy --yaml=sub/my.yml");
    expect(services()).toEqual(["hello", "second"]);
    await scene.run(`deploy -f ${scene.gateway.url}/stack.yml`);
    expect(scene.asked()).toEqual(["GET /stack.yml"]);
  });
});
