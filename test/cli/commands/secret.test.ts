import { describe, expect, test } from "@jest/globals";
import { json, jsonOf, type Seen } from "../support/fake-gateway.ts";
import { accepted, openScene } from "../support/scene.ts";

describe("secret", () => {
  test("values come from a flag, a file or standard input, without the white space around them", async () => {
    await using scene = await openScene(accepted, { key: " \tfrom file\n", "key.bin": "\u0000\u0001\n" });
    await scene.run("secret create one --from-literal value");
    await scene.run("secret create two --from-file key -n dev");
    await scene.run("secret update three", { input: "from input\r\n" });
    await scene.run("secret create four --from-file key --trim=false");
    expect(scene.gateway.seen.map((request) => [request.method, jsonOf(request)])).toEqual([
      ["POST", { name: "one", value: "value" }],
      ["POST", { name: "two", namespace: "dev", value: "from file", rawValue: btoa("from file") }],
      ["PUT", { name: "three", value: "from input" }],
      ["POST", { name: "four", value: " \tfrom file\n", rawValue: btoa(" \tfrom file\n") }],
    ]);
  });

  test("an existing secret is an error, unless it may be replaced", async () => {
    await using scene = await openScene(({ method }) => ({ status: method === "POST" ? 409 : 202 }), {});
    const failed = await scene.run("secret create one --from-literal hunter2");
    expect(failed).toMatchObject({
      code: 1,
      stderr: 'Error: secret with the name "one" already exists; --replace gives it the new value\n',
    });
    expect(failed.stdout + failed.stderr).not.toContain("hunter2");
    expect(await scene.run("secret create one --from-literal v --replace")).toMatchObject({ code: 0 });
    expect(scene.asked()).toEqual(["POST /system/secrets", "POST /system/secrets", "PUT /system/secrets"]);
  });

  test("list and remove", async () => {
    await using scene = await openScene(() => json([{ name: "one", namespace: "n" }]), {});
    expect((await scene.run("secret list")).stdout).toBe("NAME\none\n");
    expect(JSON.parse((await scene.run("secret ls -j -n n")).stdout)).toEqual([{ name: "one", namespace: "n" }]);
    expect(await scene.run("secret rm one")).toMatchObject({ code: 0, stdout: "Removed: 200 OK\n" });
    expect(jsonOf(scene.gateway.seen.at(-1) as Seen)).toEqual({ name: "one" });
    scene.gateway.respond = () => ({ status: 404 });
    expect(await scene.run("secret remove one")).toMatchObject({
      code: 1,
      stderr: "Error: unable to find secret: one; `faaslane secret list` shows all\n",
    });
  });

  test("one that is in use is removed by force only, and the functions are named", async () => {
    const text = "secret one is in use by the functions a, b; force removes it all the same";
    await using scene = await openScene(
      ({ path }) => ({ status: path.includes("force=true") ? 202 : 409, body: text }),
      {},
    );
    expect(await scene.run("secret remove one")).toMatchObject({ code: 1, stderr: `Error: ${text}\n` });
    expect(await scene.run("secret remove one --force")).toMatchObject({ code: 0 });
    expect(scene.asked()).toEqual(["DELETE /system/secrets", "DELETE /system/secrets?force=true"]);
  });

  test("apply stores every file of ./.secrets", async () => {
    const files = {
      ".secrets/known": "k\n",
      ".secrets/fresh": "f",
      ".secrets/Bad_Name": "x",
      ".secrets/empty": "\n",
      ".secrets/sub/x": "x",
    };
    await using scene = await openScene(
      ({ method }) => (method === "GET" ? json([{ name: "known" }]) : accepted()),
      files,
    );
    const { code, stdout } = await scene.run("secret apply");
    expect(code).toBe(0);
    expect(stdout.split("\n").sort().filter(Boolean)).toEqual([
      "Applied: fresh",
      "Applied: known",
      "Skipping Bad_Name: its name cannot name a secret",
      "Skipping empty: it is empty",
      "Skipping sub: it is not a file",
    ]);
    expect(scene.gateway.seen.slice(1).map((request) => [request.method, jsonOf(request)])).toEqual([
      ["POST", { name: "fresh", value: "f", rawValue: btoa("f") }],
      ["PUT", { name: "known", value: "k", rawValue: btoa("k") }],
    ]);
  });

  test.each<[args: string, message: string]>([
    ["create Bad_Name --from-literal x", "cannot name a secret"],
    ["create x --from-literal x --from-file y", "cannot be used together"],
    ["create x --from-file nowhere", "cannot read nowhere"],
    ["create x", "must not be empty"],
  ])("refuses secret %s", async (args, message) => {
    await using scene = await openScene(accepted, {});
    const { code, stderr } = await scene.run(`secret ${args}`);
    expect({ code, asked: scene.asked() }).toEqual({ code: 1, asked: [] });
    expect(stderr).toContain(message);
  });
});

test("namespaces are listed, shown, made and removed", async () => {
  const found = { name: "dev", labels: { openfaas: "1", team: "x" } };
  await using scene = await openScene(({ method, path }) => {
    if (method !== "GET") return { status: method === "POST" ? 201 : 202 };
    return json(path === "/system/namespaces" ? ["openfaas-fn", "dev"] : found);
  }, {});
  expect((await scene.run("namespaces")).stdout).toBe("Namespaces:\n - openfaas-fn\n - dev\n");
  expect(JSON.parse((await scene.run("namespace list -j")).stdout)).toEqual(["openfaas-fn", "dev"]);
  expect((await scene.run("namespace get dev")).stdout).toBe("Name: dev\nLabels:\n  openfaas: 1\n  team: x\n");
  expect(await scene.run("namespace create dev -l team=x --annotation a=b")).toMatchObject({ code: 0 });
  expect(await scene.run("namespace update dev")).toMatchObject({ code: 0 });
  expect(await scene.run("namespace remove dev")).toMatchObject({ code: 0 });
  expect(scene.gateway.seen.slice(3).map((request) => [request.method, request.path, jsonOf(request)])).toEqual([
    [
      "POST",
      "/system/namespace/",
      { name: "dev", annotations: { a: "b", openfaas: "1" }, labels: { team: "x", openfaas: "1" } },
    ],
    ["PUT", "/system/namespace/dev", { name: "dev", annotations: { openfaas: "1" }, labels: { openfaas: "1" } }],
    ["DELETE", "/system/namespace/dev", { name: "dev", labels: { openfaas: "1" } }],
  ]);
  scene.gateway.respond = () => ({ status: 409, body: "namespace dev already exists" });
  expect(await scene.run("namespace create dev")).toMatchObject({
    code: 1,
    stderr: "Error: namespace dev: the gateway answered 409 Conflict: namespace dev already exists\n",
  });
});
