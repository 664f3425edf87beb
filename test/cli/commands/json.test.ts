import { describe, expect, test } from "@jest/globals";
import { jsonOf, type Seen } from "../support/fake-gateway.ts";
import { FILES, openScene, STACK } from "../support/scene.ts";

/** What scripts read of commands that do something to several functions. */
const number = expect.any(Number);
const linesOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as object);

async function imageOf({ headers, body }: Seen): Promise<string> {
  const type = { "Content-Type": headers["content-type"] ?? "" };
  const form = await new Response(body as Buffer<ArrayBuffer>, { headers: type }).formData();
  return (JSON.parse(form.get("config") as string) as { image: string }).image;
}

/** A gateway that builds all but what `fails` names, and deploys all but what `refused` names. */
const gateway =
  ({ fails = "", refused = "" } = {}) =>
  async (request: Seen) => {
    if (request.path !== "/system/build") {
      return (jsonOf(request) as { service: string }).service === refused
        ? { status: 400, body: "no" }
        : { status: 202 };
    }
    const image = await imageOf(request);
    const events = [
      { status: "in_progress", log: ["first", "second"] },
      image.startsWith(fails || "-")
        ? { status: "failed", error: "it broke" }
        : { status: "success", image: `${image}@sha256:0` },
    ];
    return { status: 200, body: events.map((event) => `${JSON.stringify(event)}\n`) };
  };

const HELLO = {
  name: "hello",
  status: "built",
  image: "hello:latest",
  digest: "hello:latest@sha256:0",
  durationMs: number,
};
const SECOND = {
  name: "second",
  status: "built",
  image: "second:1.0",
  digest: "second:1.0@sha256:0",
  durationMs: number,
};
const FAILED = { name: "hello", status: "failed", error: "it broke", log: ["first", "second"], durationMs: number };
const summary = (failed: number) => ({ summary: { functions: 2, succeeded: 2 - failed, failed, durationMs: number } });
const without = ({ name: _, ...rest }: { name: string }) => rest;
const deployed = (url: string, name: string, path = name) => ({
  name,
  status: "deployed",
  url: `${url}/function/${path}`,
  httpStatus: 202,
});

describe("--json", () => {
  test.each([
    ["build", { fails: "" }, 0, [HELLO, SECOND, summary(0)]],
    ["build", { fails: "hello" }, 1, [FAILED, SECOND, summary(1)]],
  ])("of %s with %j prints nothing else, errors neither", async (command, how, code, lines) => {
    await using scene = await openScene(gateway(how));
    const outcome = await scene.run(`${command} --json`);
    expect({ ...outcome, stdout: linesOf(outcome.stdout) }).toEqual({ code, stderr: "", stdout: lines });
  });

  test("of deploy tells where each function is, or why not", async () => {
    await using scene = await openScene(gateway({ refused: "second" }));
    const { code, stdout, stderr } = await scene.run("deploy -j");
    expect([code, stderr]).toEqual([1, ""]);
    expect(linesOf(stdout)).toEqual([
      { ...deployed(scene.gateway.url, "hello", "hello.dev"), namespace: "dev" },
      { name: "second", status: "failed", error: "Unexpected status: 400, message: no" },
      summary(1),
    ]);
  });

  test("of up tells both steps in one line, and how the first has failed", async () => {
    await using scene = await openScene(gateway({ fails: "hello" }));
    const { code, stdout, stderr } = await scene.run("up --json");
    expect([code, stderr]).toEqual([1, ""]);
    expect(linesOf(stdout)).toEqual([
      FAILED,
      { ...deployed(scene.gateway.url, "second"), build: without(SECOND) },
      summary(1),
    ]);
    expect(linesOf((await scene.run("up --json --skip-deploy --filter second")).stdout)[0]).toEqual(SECOND);
  });

  test("of publish tells what could not be, and why", async () => {
    await using scene = await openScene(gateway());
    const { code, stdout, stderr } = await scene.run("publish --json --builder none");
    expect([code, stderr]).toEqual([1, ""]);
    expect(linesOf(stdout)).toEqual([
      expect.objectContaining({ name: "hello", status: "failed", error: expect.stringContaining("faaslane.json") }),
      expect.objectContaining({ name: "second", status: "failed" }),
      summary(2),
    ]);
  });

  test("of publish names build secrets that mean nothing, or lie elsewhere", async () => {
    const image = { base: "127.0.0.1:1/none" };
    const files = {
      ...FILES,
      "template/node/faaslane.json": JSON.stringify({ image }),
      token: "t",
      "stack.yml": STACK.replace("    namespace: dev", "    build_secrets: {odd-name: ./token}").replace(
        "    fprocess: own",
        "    build_secrets: {NPM_TOKEN: /etc/passwd}",
      ),
    };
    await using scene = await openScene(gateway(), files);
    const [hello, second] = linesOf((await scene.run("publish --json")).stdout);
    expect(hello).toMatchObject({ error: expect.stringContaining("odd-name: must be npmrc, ") });
    expect(second).toMatchObject({ error: expect.stringContaining("/etc/passwd is outside of the project") });
  });

  test("has errors of the command itself as a line of JSON, too", async () => {
    await using scene = await openScene(gateway(), {});
    const { code, stdout, stderr } = await scene.run("up --json");
    expect([code, stdout]).toEqual([1, ""]);
    expect(JSON.parse(stderr)).toEqual({ message: expect.stringContaining("stack.yaml") });
    expect((await scene.run("up --json --watch")).stderr).toContain("--watch and --json cannot be used together");
  });
});
