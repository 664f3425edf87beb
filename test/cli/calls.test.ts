import { expect, test } from "@jest/globals";
import { json } from "./support/fake-gateway.ts";
import { openScene } from "./support/scene.ts";

const CALL = {
  id: "c1",
  function: "f",
  namespace: "openfaas-fn",
  version: "v2",
  replica: "10.0.0.1:8080",
  at: Date.parse("2030-01-01T00:00:00.123Z"),
  method: "POST",
  path: "/function/f/a\u001b[31m",
  status: 502,
  durationMs: 1234.5,
  cold: true,
  asynchronous: true,
  error: "replica_failed",
  phases: [
    { name: "wait", ms: 1200 },
    { name: "function", ms: 34.46 },
  ],
};
const DETAIL = {
  ...CALL,
  responseBytes: 2,
  requestHeaders: { authorization: "[redacted]" },
  startup: [{ name: "started", ms: 80 }],
};

test("the latest calls of a function are listed, by preset", async () => {
  await using scene = await openScene(() => json({ calls: [CALL], since: 0 }), {});
  const { code, stdout, stderr } = await scene.run("calls list f -n dev --preset errors --limit 5");
  expect([code, stderr]).toEqual([0, ""]);
  expect(scene.asked()).toEqual(["GET /ui/api/calls?function=f&namespace=dev&preset=errors&limit=5"]);
  expect(stdout).toContain(
    "2030-01-01T00:00:00.123Z  502 replica_failed  1.2s  cold,queue  v2       POST /function/f/a",
  );
  expect(stdout).not.toContain("\u001b");
  expect(stdout).toContain("Calls are kept since 1970-01-01T00:00:00.000Z");
  expect(await scene.run("calls list f --preset old")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("--preset must be one of all, errors, slow, cold"),
  });
});

test("one call is shown with its phases and headers, or as it came", async () => {
  await using scene = await openScene(() => json(DETAIL), {});
  const { stdout } = await scene.run("calls show c1/2");
  expect(scene.asked()).toEqual(["GET /ui/api/calls/c1%2F2"]);
  expect(stdout).toContain("Answer:       2 bytes\n");
  expect(stdout).toContain("Phases\n  wait      1.2s\n  function  34.5ms\n");
  expect(stdout).toContain("The start that it waited for\n  started  80ms\n");
  expect(stdout).toContain("Request headers\n  authorization  [redacted]\n");
  expect(JSON.parse((await scene.run("calls show c1 --json")).stdout)).toEqual(DETAIL);
});
