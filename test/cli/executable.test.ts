import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "@jest/globals";
import { json, openFakeGateway } from "./support/fake-gateway.ts";
import { makeWorkspace, ROOT, runChild } from "./support/run-cli.ts";

test("help names every command and ends with 0", async () => {
  await using workspace = await makeWorkspace();
  const { code, stdout, stderr } = await runChild(["--help"], { cwd: workspace.path });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const name of [
    "new",
    "build",
    "deploy",
    "up",
    "list|ls",
    "describe",
    "invoke",
    "logs",
    "remove|rm",
    "secret",
    "login",
  ]) {
    expect(stdout).toMatch(new RegExp(`^ {2}${name.replace("|", "\\|")} `, "m"));
  }
});

test.each<[rule: string, args: string[], message: string]>([
  ["an unknown command", ["depoly"], "Error: unknown command 'depoly'"],
  ["an unknown flag", ["list", "--nope"], "Error: unknown option '--nope'"],
  ["a missing argument", ["describe"], "Error: missing required argument 'name'"],
])("%s ends with 1 and one clear line", async (_rule, args, message) => {
  await using workspace = await makeWorkspace();
  const { code, stdout, stderr } = await runChild(args, { cwd: workspace.path });
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr.split("\n")[0]).toContain(message);
});

test("one session, from nothing to an answer", async () => {
  const lines = [
    { status: "in_progress", log: ["installing"] },
    { status: "success", image: "hi:latest@sha256:00" },
  ];
  await using gateway = await openFakeGateway(({ method, path, body }) => {
    if (path === "/system/build") return { status: 200, body: lines.map((line) => `${JSON.stringify(line)}\n`) };
    if (path.startsWith("/function/")) return { status: 200, body: body.toString().toUpperCase() };
    if (method === "GET") return json([{ name: "hi", image: "hi:latest", replicas: 1 }]);
    return { status: method === "PUT" ? 404 : 202 };
  });
  await using workspace = await makeWorkspace();
  const run = (args: string, input = "") =>
    runChild(args.split(" "), { cwd: workspace.path, env: { OPENFAAS_URL: gateway.url }, input });

  expect(await run("new hi --lang node -q")).toMatchObject({ code: 0, stderr: "" });
  const up = await run("up");
  expect(up).toMatchObject({ code: 0, stderr: "" });
  expect(up.stdout).toContain("hi | installing\n");
  expect(up.stdout).toContain(`Deployed. 202 Accepted.\nURL: ${gateway.url}/function/hi\n`);
  expect(up.stdout).not.toContain("\u001b");
  expect(await run("list -q")).toEqual({ code: 0, stdout: "hi\n", stderr: "" });
  expect(await run("invoke hi", "hello")).toEqual({ code: 0, stdout: "HELLO", stderr: "" });
  expect(await run("remove hi")).toMatchObject({ code: 0 });
  expect(gateway.seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "POST /system/build",
    "PUT /system/functions",
    "POST /system/functions",
    "GET /system/functions",
    "POST /function/hi.openfaas-fn",
    "GET /system/queue?function=hi",
    "DELETE /system/functions",
  ]);
});

test("a large answer reaches a pipe whole", async () => {
  const megabyte = "x".repeat(1024 * 1024);
  await using gateway = await openFakeGateway(() => ({ status: 200, body: Array.from({ length: 8 }, () => megabyte) }));
  await using workspace = await makeWorkspace();
  const { code, stdout } = await runChild(["invoke", "f", "-g", gateway.url], { cwd: workspace.path });
  expect([code, stdout.length]).toEqual([0, 8 * 1024 * 1024]);
});

test("logs end quietly when nobody reads them any more", async () => {
  const line = JSON.stringify({
    name: "f",
    namespace: "n",
    instance: "i",
    timestamp: "2026-01-31T12:00:00Z",
    text: "x\n",
  });
  await using gateway = await openFakeGateway(() => ({
    status: 200,
    body: (async function* () {
      for (;;) {
        yield `${line}\n`;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })(),
  }));
  await using workspace = await makeWorkspace();
  const args = [join(ROOT, "cli/main.ts"), "logs", "f", "-g", gateway.url];
  const child = spawn(process.execPath, args, { cwd: workspace.path, env: { HOME: workspace.path }, timeout: 20_000 });
  const errors: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  const ended = new Promise((resolve) => child.once("close", resolve));
  for await (const printed of createInterface(child.stdout)) {
    expect(printed).toBe("2026-01-31T12:00:00Z x");
    break;
  }
  child.stdout.destroy();
  expect([await ended, Buffer.concat(errors).toString()]).toEqual([0, ""]);
});
