import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { containerCommand, shellLine } from "../../../cli/local-run/container.ts";
import { eventually } from "../../support/eventually.ts";
import { makeWorkspace, runHere, type Workspace } from "../support/run-cli.ts";
import { FILES } from "../support/scene.ts";

const base = { name: "f", namespace: "dev", image: "i:1", environment: {}, extra: {}, limits: {}, readOnly: false };
const INJECTED = "-e OPENFAAS_NAME=f -e OPENFAAS_NAMESPACE=dev -e jwt_auth_local=true";

describe("the command", () => {
  test.each<[rule: string, request: Partial<Parameters<typeof containerCommand>[0]>, args: string]>([
    ["a plain function", {}, `-p=8080:8080 ${INJECTED} i:1`],
    [
      "variables of flags over others, the process last",
      { environment: { A: "1", B: "two words" }, extra: { A: "2" }, process: "node index.js" },
      `-p=8080:8080 -e A=2 -e 'B=two words' ${INJECTED} -e 'fprocess=node index.js' i:1`,
    ],
    ["a quote", { extra: { A: "it's" } }, `-p=8080:8080 -e 'A=it'\\''s' ${INJECTED} i:1`],
    [
      "limits",
      { limits: { memory: "128Mi", cpu: "100m" } },
      `-p=8080:8080 ${INJECTED} --memory-reservation=134217728 --cpus=0.1 i:1`,
    ],
    [
      "limits in other units",
      { limits: { memory: "1.5G", cpu: "2" } },
      `-p=8080:8080 ${INJECTED} --memory-reservation=1500000000 --cpus=2 i:1`,
    ],
    ["hardly any memory", { limits: { memory: "1k" } }, `-p=8080:8080 ${INJECTED} --memory-reservation=6291456 i:1`],
    [
      "a file system that is read only, secrets, a network and a free port",
      { readOnly: true, secretsFolder: "/p/.secrets", network: "host", port: 0 },
      `-p=0:8080 ${INJECTED} -v /p/.secrets:/var/openfaas/secrets:ro --read-only --tmpfs=/tmp --network=host i:1`,
    ],
  ])("of %s", (_rule, request, args) => {
    const command = containerCommand({ ...base, port: 8080, ...request });
    expect(shellLine(command.args)).toBe(`run --name f --label=faaslane.local-run --rm -i ${args}`);
    expect(command.warnings).toEqual(request.limits?.memory === "1k" ? ["limits.memory: 1k is raised to 6 MiB"] : []);
  });

  test.each([
    [{ memory: "many" }, "limits.memory: many is no quantity such as 128Mi"],
    [{ memory: "1i" }, "limits.memory: 1i is no quantity such as 128Mi"],
    [{ cpu: "-1" }, "limits.cpu: -1 is no quantity such as 100m or 0.5"],
  ])("of %j is an error", (limits, message) => {
    expect(() => containerCommand({ ...base, port: 1, limits })).toThrow(message);
  });
});

/** Engines that write down what they are asked; `docker` works unless its daemon is said to be away. */
async function withEngines(workspace: Workspace, { docker = true, exit = 0, serve = false } = {}) {
  const bin = join(workspace.path, "bin");
  for (const [name, works] of Object.entries({ docker, podman: false })) {
    const file = join(bin, name);
    const home = workspace.path;
    // It serves until it is removed by its id.
    const long = `case $1 in
      run) echo serving; echo $$ > ${home}/pid; while [ -e ${home}/pid ] && [ $(cat ${home}/pid) = $$ ]; do sleep 0.05; done;;
      ps) [ ! -e ${home}/pid ] || echo 7;;
      rm) rm -f ${home}/pid;;
    esac`;
    const once = `[ "$1" != run ] || { echo serving; exit ${exit}; }`;
    const ends = serve ? long : works ? once : "exit 1";
    await writeFile(file, `#!/bin/sh\necho "$@" >> "${workspace.path}/asked"\n${ends}\n`);
    await chmod(file, 0o755);
  }
  return { PATH: `${bin}:/usr/bin:/bin` };
}

describe("local-run", () => {
  const STACK = FILES["stack.yml"].replace("    fprocess: own\n", "    fprocess: own\n    secrets: [key]\n");
  const files = { ...FILES, "stack.yml": STACK, "bin/x": "" };

  test("builds the image and runs it, with its secrets", async () => {
    await using workspace = await makeWorkspace({ ...files, ".secrets/key": "v" });
    const env = await withEngines(workspace);
    const { code, stdout, stderr } = await runHere(["local-run", "second", "-p", "3000", "-e", "A=b"], {
      cwd: workspace.path,
      env,
    });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "serving\n", stderr: "" });
    const context = join(workspace.path, "build/second");
    expect((await readFile(join(workspace.path, "asked"), "utf8")).split("\n").slice(1)).toEqual([
      `build --build-arg ADDITIONAL_PACKAGE= --tag second:1.0 ${context}`,
      "ps -aq --filter name=^second$ --filter label=faaslane.local-run",
      `run --name second --label=faaslane.local-run --rm -i -p=3000:8080 -e A=b -e OPENFAAS_NAME=second -e OPENFAAS_NAMESPACE=openfaas-fn -e jwt_auth_local=true -e fprocess=own -v ${workspace.path}/.secrets:/var/openfaas/secrets:ro second:1.0`,
      "",
    ]);
    expect(await readFile(join(context, "function/handler.js"), "utf8")).toBe("mine");
  });

  test("--watch builds and starts it again with each change, and goes on after a failure", async () => {
    await using workspace = await makeWorkspace({ ...files, ".secrets/key": "v" });
    const env = await withEngines(workspace, { serve: true });
    const stop = new AbortController();
    const running = runHere(["local-run", "second", "--watch"], { cwd: workspace.path, env, signal: stop.signal });
    const asked = async () => (await readFile(join(workspace.path, "asked"), "utf8")).split("\n");
    const counted = async (word: string) => (await asked()).filter((line) => line.startsWith(word)).length;
    await eventually("it runs", async () => (await counted("run ")) === 1, 30_000);
    await writeFile(join(workspace.path, "hello/handler.js"), "changed");
    await eventually("it runs again", async () => (await counted("run ")) === 2, 30_000);
    expect(await readFile(join(workspace.path, "build/second/function/handler.js"), "utf8")).toBe("changed");
    const stack = join(workspace.path, "stack.yml");
    await writeFile(stack, STACK.replace("image: second:1.0", "image: [not, one]"));
    await writeFile(stack, STACK.replace("image: second:1.0", "image: second:2.0"));
    await eventually(
      "it runs what the stack file says now",
      async () => (await asked()).at(-2)?.endsWith("second:2.0"),
      30_000,
    );
    stop.abort();
    const { code, stdout } = await running;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Watching second\. Stop with Ctrl-C\.$/m);
    expect(stdout).toMatch(/^second: changed .*handler\.js$/m);
    // Each has been removed before the next one was started, and the last one in the end.
    expect((await asked()).filter((line) => line.startsWith("rm -f 7")).length).toBeGreaterThanOrEqual(3);
  }, 90_000);

  test("tells how the container has ended", async () => {
    await using workspace = await makeWorkspace(files);
    const env = await withEngines(workspace, { exit: 3 });
    const outcome = await runHere(["local-run", "hello", "--build=false"], { cwd: workspace.path, env });
    expect(outcome).toEqual({ code: 1, stdout: "serving\n", stderr: "Error: hello has ended with 3\n" });
  });

  test.each<[args: string, message: RegExp]>([
    ["local-run", /say which function: faaslane local-run NAME, one of hello, second/],
    ["local-run third", /the stack file has no function third; it has hello, second/],
    ["local-run second", /the secret key is missing: put its value into \.secrets\/key/],
    ["local-run hello -p 99999", /--port must be a number from 0 to 65535/],
  ])("%s says what is wrong", async (args, message) => {
    await using workspace = await makeWorkspace(files);
    const env = await withEngines(workspace);
    const { code, stderr } = await runHere(args.split(" "), { cwd: workspace.path, env });
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  });

  test("without an engine that works it says what does without one, and prints the command all the same", async () => {
    await using workspace = await makeWorkspace(files);
    const env = await withEngines(workspace, { docker: false });
    const run = (args: string) => runHere(args.split(" "), { cwd: workspace.path, env });
    expect((await run("local-run hello")).stderr).toMatch(/needs docker or podman.*`faaslane start`/);
    const { code, stdout } = await run("local-run second --print");
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^docker run --name second .* second:1\.0\n$/)]);
  });
});
