import { describe, expect, test } from "@jest/globals";
import { runHere } from "../support/run-cli.ts";
import { accepted, openScene } from "../support/scene.ts";

describe("invoke", () => {
  test("sends standard input and prints the answer", async () => {
    await using scene = await openScene(({ body }) => ({ status: 201, body: [body.toString(), "!"] }), {});
    const bytes = Buffer.from([0, 1, 2, 255]);
    expect(await scene.run("invoke hello", { input: "hi" })).toEqual({ code: 0, stdout: "hi!", stderr: "" });
    await scene.run("invoke hello", { input: bytes });
    const [first, second] = scene.gateway.seen;
    expect([first?.method, first?.path]).toEqual(["POST", "/function/hello.openfaas-fn"]);
    expect(first?.headers).toMatchObject({ "content-type": "text/plain", "content-length": "2" });
    expect(first?.headers.authorization).toBeUndefined();
    expect(second?.body).toEqual(bytes);
  });

  test("method, query, headers, namespace and type are the caller's choice", async () => {
    await using scene = await openScene(accepted);
    const args = ["invoke", "hello", "-m", "PUT", "--query", "a=1 ö", "--query", "b=2", "--content-type", "a/b"];
    const headers = ["-H", "X-One: 1", "-H", "X-Two=2: x", "-H", "X-One: again", "--auth", "-k", "secret"];
    const options = { cwd: scene.workspace.path, env: { OPENFAAS_URL: `${scene.gateway.url}/` }, input: "x" };
    expect(await runHere([...args, ...headers], options)).toMatchObject({ code: 0 });
    expect(scene.gateway.seen[0]).toMatchObject({ method: "PUT", path: "/function/hello.dev?a=1+%C3%B6&b=2" });
    expect(scene.gateway.seen[0]?.headers).toMatchObject({
      "content-type": "a/b",
      "x-one": "1, again",
      "x-two": "2: x",
      authorization: "Bearer secret",
    });
    await runHere(["invoke", "hello.other", "-m", "GET", "-H", "content-type: c/d"], options);
    expect(scene.gateway.seen[1]).toMatchObject({ method: "GET", path: "/function/hello.other" });
    expect(scene.gateway.seen[1]?.headers["content-type"]).toBe("c/d");
  });

  test("an asynchronous call is told apart from its result", async () => {
    await using scene = await openScene(() => ({ status: 202, headers: { "X-Call-Id": "c1" } }), {});
    expect(await scene.run("invoke hello --async --callback http://back/x", { input: "x" })).toEqual({
      code: 0,
      stdout: "",
      stderr: "Function submitted asynchronously, call id c1.\n",
    });
    expect(scene.gateway.seen[0]?.path).toBe("/async-function/hello.openfaas-fn");
    expect(scene.gateway.seen[0]?.headers["x-callback-url"]).toBe("http://back/x");
  });

  test("a signature covers the body", async () => {
    await using scene = await openScene(accepted, {});
    await scene.run("invoke hello --sign X-Hub-Signature --key key", {
      input: "The quick brown fox jumps over the lazy dog",
    });
    expect(scene.gateway.seen[0]?.headers["x-hub-signature"]).toBe(
      "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
    );
  });

  test("an answer that is no success ends in an error", async () => {
    await using scene = await openScene(() => ({ status: 500, body: "it broke\n" }), {});
    expect(await scene.run("invoke hello")).toEqual({
      code: 1,
      stdout: "",
      stderr: "Error: Server returned unexpected status code: 500 - it broke\n",
    });
  });

  test.each<[args: string, message: string]>([
    ["--sign X-S", "--sign and --key must be used together"],
    ["--callback http://x", "--callback needs --async"],
    ["--auth", "--auth needs --token"],
    ["-m HEAD", "--method must be one of"],
    ["-H nonsense", "--header must be 'Name: value'"],
    ["-H X-A:\r\nX-B:c", "--header must be 'Name: value'"],
    ["--query a", "--query must be key=value"],
  ])("refuses %j", async (args, message) => {
    await using scene = await openScene(accepted, {});
    const { code, stderr } = await scene.run(`invoke hello ${args}`);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(scene.asked()).toEqual([]);
  });

  test("silence ends with --timeout", async () => {
    const { promise: never } = Promise.withResolvers<undefined>();
    await using scene = await openScene(() => never, {});
    expect((await scene.run("invoke hello --timeout 50ms")).stderr).toContain("did not answer within 0.05 s");
  });
});
