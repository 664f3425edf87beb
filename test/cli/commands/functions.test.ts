import { describe, expect, test } from "@jest/globals";
import { json, jsonOf } from "../support/fake-gateway.ts";
import { accepted, openScene } from "../support/scene.ts";

describe("list, describe and remove", () => {
  const functions = [
    { name: "b", image: "i:1", namespace: "dev", replicas: 2, invocationCount: 7, createdAt: "2026-01-02T00:00:00Z" },
    { name: "a", image: "i:2", namespace: "dev", createdAt: "2026-01-03T00:00:00Z" },
  ];

  test("list shows names, calls and replicas", async () => {
    await using scene = await openScene(() => json(functions), {});
    const words = async (args: string) =>
      (await scene.run(args)).stdout
        .trim()
        .split("\n")
        .map((line) => line.trim().split(/\s+/));
    expect(await words("list")).toEqual([
      ["Function", "Invocations", "Replicas"],
      ["a", "0", "0"],
      ["b", "7", "2"],
    ]);
    expect(await words("ls -q --sort invocations")).toEqual([["b"], ["a"]]);
    expect(await words("list -q --sort creation")).toEqual([["b"], ["a"]]);
    expect((await words("list --verbose -n dev"))[2]).toEqual(["b", "i:1", "7", "2", "2026-01-02T00:00:00Z"]);
    expect(JSON.parse((await scene.run("list --json")).stdout)).toHaveLength(2);
    expect(scene.asked()[3]).toBe("GET /system/functions?namespace=dev");
    expect((await scene.run("list --sort size")).stderr).toContain("--sort must be one of name, invocations, creation");
  });

  test("describe shows all that is known of a function", async () => {
    const known = {
      ...functions[0],
      availableReplicas: 1,
      envVars: { B: "2", A: "1" },
      labels: { team: "x" },
      secrets: ["s", "t"],
      limits: { memory: "1Gi" },
      sandbox: "bubblewrap+cgroup",
      usage: { cpu: 12.4, totalMemoryBytes: 3 * 1024 * 1024 },
    };
    await using scene = await openScene(
      ({ path }) => json(path.startsWith("/system/functions") ? functions : known),
      {},
    );
    const { code, stdout } = await scene.run("describe b -n dev");
    expect(code).toBe(0);
    expect(stdout).toBe(`Name:                b
Status:              Ready
Replicas:            2
Available Replicas:  1
Invocations:         7
Image:               i:1
Function Process:    <default>
Namespace:           dev
URL:                 ${scene.gateway.url}/function/b.dev
Async URL:           ${scene.gateway.url}/async-function/b.dev
Created At:          2026-01-02T00:00:00Z
Labels:              team: x
Environment:         A: 1
                     B: 2
Secrets:             s
                     t
Limits:              Memory: 1Gi
Sandbox:             bubblewrap+cgroup
Usage:               RAM: 3.0 MiB
                     CPU: 12m
`);
    expect(scene.asked()).toEqual([
      "GET /system/function/b?namespace=dev&usage=1",
      "GET /system/functions?namespace=dev",
      "GET /system/function/b/versions?namespace=dev",
    ]);
    expect(JSON.parse((await scene.run("describe b --json")).stdout)).toMatchObject({ name: "b", invocationCount: 7 });
    scene.gateway.respond = () => ({ status: 404 });
    expect(await scene.run("describe b")).toEqual({
      code: 1,
      stdout: "",
      stderr: "Error: no such function: b; `faaslane list` shows what is deployed\n",
    });
  });

  test("remove one, or all of the stack file", async () => {
    await using scene = await openScene(accepted);
    expect(await scene.run("remove hello")).toEqual({
      code: 0,
      stdout: "Deleting: hello.\nRemoving old function.\n",
      stderr: "",
    });
    expect(await scene.run("rm -n prod")).toMatchObject({ code: 0 });
    const removals = scene.gateway.seen.filter(({ method }) => method === "DELETE");
    expect(removals.map((request) => [request.method, request.path, jsonOf(request)])).toEqual([
      ["DELETE", "/system/functions", { functionName: "hello", namespace: "dev" }],
      ["DELETE", "/system/functions", { functionName: "hello", namespace: "prod" }],
      ["DELETE", "/system/functions", { functionName: "second", namespace: "prod" }],
    ]);

    scene.gateway.respond = () => ({ status: 404 });
    expect(await scene.run("remove hello")).toMatchObject({
      code: 1,
      stderr: "Error: hello: No existing function to remove; `faaslane list` shows what is deployed\n",
    });
    expect(await scene.run("delete")).toMatchObject({ code: 0, stderr: "" });
    scene.gateway.respond = () => ({ status: 500, body: "no" });
    expect(await scene.run("remove")).toMatchObject({
      code: 1,
      stderr:
        "Error: hello: the gateway answered 500 Internal Server Error: no\nError: second: the gateway answered 500 Internal Server Error: no\n",
    });
  });

  const waiting = (count: number) => {
    const one = { name: "hello", namespace: "dev", queue: "q", inFlight: 1, dead: 2, oldestMs: 3 };
    const rates = { acceptedPerSecond: 0, finishedPerSecond: 0 };
    return json({ waiting: 9, inFlight: 1, dead: 2, oldestMs: 3, functions: [{ ...one, ...rates, waiting: count }] });
  };

  test.each<[args: string, count: number, asked: string[], said: string]>([
    [
      "remove hello",
      7,
      ["GET /system/queue?function=hello&namespace=dev", "DELETE /system/functions"],
      "7 calls wait for hello, and will be kept. To drop them: faaslane queue purge hello\n",
    ],
    ["remove hello", 0, ["GET /system/queue?function=hello&namespace=dev", "DELETE /system/functions"], ""],
    [
      "remove hello --purge-calls",
      7,
      ["DELETE /system/queue?function=hello&namespace=dev", "DELETE /system/functions"],
      "Dropped waiting calls of hello: 7.\n",
    ],
    ["remove hello --keep-calls", 7, ["DELETE /system/functions"], ""],
  ])("%s, for which %i calls wait", async (args, count, asked, said) => {
    await using scene = await openScene(({ method, path }) => {
      if (!path.startsWith("/system/queue")) return { status: 202 };
      return method === "GET" ? waiting(count) : json({ count });
    });
    expect(await scene.run(args)).toEqual({
      code: 0,
      stdout: `Deleting: hello.\n${said}Removing old function.\n`,
      stderr: "",
    });
    expect(scene.asked()).toEqual(asked);
  });

  test.each<[answer: string, purged: boolean]>([
    ["y", true],
    ["YES", true],
    ["", false],
    ["no", false],
  ])("who removes a function at a terminal is asked about its calls, and answers %j", async (answer, purged) => {
    await using scene = await openScene(({ method, path }) => {
      if (!path.startsWith("/system/queue")) return { status: 202 };
      return method === "GET" ? waiting(1) : json({ count: 1 });
    });
    const { code, stderr } = await scene.run("remove hello", { input: `${answer}\n`, terminal: true });
    expect(code).toBe(0);
    expect(stderr).toContain("1 call waits for hello. Drop them? [y/N]");
    expect(scene.asked().includes("DELETE /system/queue?function=hello&namespace=dev")).toBe(purged);
  });

  test("calls are not dropped when the gateway will not have it, nor is the function removed", async () => {
    await using scene = await openScene(() => ({ status: 401, body: "no" }));
    const { code, stderr } = await scene.run("remove hello --purge-calls");
    expect([code, stderr]).toEqual([1, expect.stringContaining("Error: hello: unauthorized")]);
    expect(await scene.run("remove hello --purge-calls --keep-calls")).toMatchObject({ code: 1 });
    expect(scene.asked()).toEqual(["DELETE /system/queue?function=hello&namespace=dev"]);
  });
});

test("ready asks until somebody is", async () => {
  let asked = 0;
  await using scene = await openScene(() => {
    asked += 1;
    return asked < 3 ? undefined : { status: 200 };
  }, {});
  const { code, stdout } = await scene.run("ready --attempts 5 --interval 1ms");
  expect(code).toBe(0);
  expect(stdout.split("\n")).toHaveLength(4);
  expect(stdout).toContain(`The gateway at ${scene.gateway.url} is ready`);

  scene.gateway.respond = () => json({ name: "f", image: "i", replicas: 1, problem: "exit status 1" });
  expect(await scene.run("ready f --attempts 2 --interval 1ms")).toMatchObject({
    code: 1,
    stderr: "Error: Function f is not ready after 2 attempts: exit status 1\n",
  });
  scene.gateway.respond = () => json({ name: "f", image: "i", replicas: 1, availableReplicas: 1 });
  expect(await scene.run("ready f")).toMatchObject({ code: 0, stdout: "Function f is ready\n" });
  scene.gateway.respond = () => ({ status: 401 });
  expect((await scene.run("ready f --attempts 9 --interval 1h")).stderr).toContain("unauthorized access");
});

test("version tells of client, gateway and provider, whichever can be asked", async () => {
  const version = { release: "0.27", sha: "abc" };
  const info = {
    version,
    provider: { provider: "faas-netes", orchestration: "kubernetes", version: { release: "0.18", sha: "d" } },
  };
  await using scene = await openScene(() => json(info), {});
  const { stdout } = await scene.run("version");
  for (const part of ["1.2.3", scene.gateway.url, "0.27", "abc", "faas-netes", "kubernetes", "0.18"])
    expect(stdout).toContain(part);
  expect((await scene.run("version --short-version")).stdout).toBe("1.2.3\n");
  expect(JSON.parse((await scene.run("version -j")).stdout)).toMatchObject({
    cli: { version: "1.2.3" },
    gateway: info,
  });
  scene.gateway.respond = () => json({ provider: null, version, arch: "x86_64" });
  expect(await scene.run("version")).toMatchObject({ code: 0, stderr: "" });
  scene.gateway.respond = () => undefined;
  const alone = await scene.run("version");
  expect(alone).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^CLI:\n commit: +0123[0-9a-f]{36}\n version: +1\.2\.3\n$/),
  });
  expect(alone.stderr).toMatch(/^Warning: cannot reach the gateway/);
});

test("a failure that the gateway answers is told with its code where that is asked for", async () => {
  const headers = { "x-faaslane-error": "provider_unreachable" };
  await using scene = await openScene(() => ({ status: 502, headers, body: "the provider does not answer\n" }), {});
  const message = "the gateway answered 502 Bad Gateway: the provider does not answer";
  expect((await scene.run("list")).stderr).toBe(`Error: ${message}\n`);
  expect((await scene.run("list --verbose")).stderr).toBe(`Error: ${message} (provider_unreachable)\n`);
  const { code, stdout, stderr } = await scene.run("list --json");
  expect([code, stdout, JSON.parse(stderr)]).toEqual([1, "", { code: "provider_unreachable", message }]);
});

test.each<[of: string, headers: Record<string, string>]>([
  ["a gateway without codes", {}],
  ["a gateway whose code is none", { "x-faaslane-error": "No Code" }],
])("a failure of %s is told without one", async (_of, headers) => {
  await using scene = await openScene(() => ({ status: 500, headers, body: "broken\n" }), {});
  const message = "the gateway answered 500 Internal Server Error: broken";
  expect((await scene.run("list --verbose")).stderr).toBe(`Error: ${message}\n`);
  expect(JSON.parse((await scene.run("list --json")).stderr)).toEqual({ message });
});
