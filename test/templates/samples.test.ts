import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "@jest/globals";
import { parseStack } from "../../cli/stack/parse.ts";
import { testNeeding, unlessRequired } from "../support/needing.ts";
import { TEMPLATES } from "./support/build-context.ts";
import { type FunctionProcess, startFunction } from "./support/function-process.ts";
import { missingPrograms } from "./support/programs.ts";

const ROOT = join(TEMPLATES, "..");
const FUNCTIONS = join(ROOT, "functions");
const testPython = testNeeding(unlessRequired(missingPrograms("python3")));

describe("their own tests pass", () => {
  // Jest's own settings must not reach another runner.
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const run = (program: string, args: string[], cwd: string) =>
    promisify(execFile)(program, args, { cwd, env: { ...env, PYTHONDONTWRITEBYTECODE: "1" }, timeout: 20_000 });

  test.each(["templates/node/function", "functions/hello", "functions/nodeinfo"])("%s", async (dir) => {
    const { stdout } = await run(process.execPath, ["--test", "--test-reporter=tap"], join(ROOT, dir));
    expect(stdout).toMatch(/^# tests [1-9]/m);
    expect(stdout).toMatch(/^# fail 0$/m);
  });

  testPython.each([
    ["templates/python3", "function.handler_test"],
    ["templates/python3-http", "function.handler_test"],
    ["functions/wordcount", "handler_test"],
  ])("%s", async (dir, module) => {
    const { stderr } = await run("python3", ["-m", "unittest", module], join(ROOT, dir));
    expect(stderr).toMatch(/^Ran [1-9]\d* tests? in .*\n\nOK/m);
  });

  test.each(["templates/bash/function", "functions/shout"])("%s", async (dir) => {
    expect((await run("bash", ["handler_test.sh"], join(ROOT, dir))).stdout).toBe("ok\n");
  });
});

test("stack.yml deploys them with environment, labels, annotations, a secret and limits", async () => {
  const { gateway, functions } = parseStack(await readFile(join(ROOT, "stack.yml"), "utf8"), {
    file: "stack.yml",
    env: {},
  });
  expect(gateway).toBe("http://127.0.0.1:8080");
  expect(functions.map(({ name, lang, handler, image }) => ({ name, lang, handler, image }))).toEqual([
    { name: "hello", lang: "node", handler: "./functions/hello", image: "hello:latest" },
    { name: "wordcount", lang: "python3", handler: "./functions/wordcount", image: "wordcount:latest" },
    { name: "shout", lang: "bash", handler: "./functions/shout", image: "shout:latest" },
  ]);
  const [hello, wordcount, shout] = functions;
  expect(hello).toMatchObject({
    environment: { GREETING: "Hello" },
    labels: { "com.openfaas.scale.min": "1", "com.openfaas.scale.max": "5" },
    annotations: { description: expect.any(String) },
  });
  expect(wordcount).toMatchObject({
    limits: { memory: "256Mi", cpu: "500m" },
    requests: { memory: "64Mi", cpu: "50m" },
  });
  expect(shout?.secrets).toEqual(["shout-key"]);
});

describe("behind the watchdog", () => {
  const running: FunctionProcess[] = [];
  const start = async (name: string, template: string, options: Parameters<typeof startFunction>[1]) => {
    const fn = await startFunction(template, { ...options, handler: join(FUNCTIONS, name) });
    running.push(fn);
    return fn.url;
  };
  afterAll(() => Promise.all(running.map((fn) => fn.remove())));

  test("hello greets", async () => {
    const url = await start("hello", "node", { env: { GREETING: "Moin" } });
    const answer = await fetch(`${url}/?name=Ada`);
    expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(await answer.json()).toMatchObject({ message: "Moin, Ada!", function: "probe", replica: { calls: 1 } });
    expect(await (await fetch(url, { method: "POST", body: "Zoë" })).json()).toMatchObject({ message: "Moin, Zoë!" });
  });

  testPython("wordcount counts", async () => {
    const url = await start("wordcount", "python3", { env: { TOP_WORDS: "1" } });
    const answer = await fetch(url, { method: "POST", body: "Ä b.\nä c" });
    expect(await answer.json()).toEqual({ lines: 2, words: 4, characters: 8, top: [{ word: "ä", count: 2 }] });
    expect((await fetch(`${url}/?top=x`, { method: "POST", body: "a" })).status).toBe(400);
  });

  test("shout shouts, and its signature does not show the key", async () => {
    const url = await start("shout", "bash", { secrets: { "shout-key": "the-key" } });
    const shout = async (query: string) => (await fetch(url + query, { method: "POST", body: "grüße" })).text();
    expect(await shout("/")).toBe("GRÜßE");
    const signed = await shout("/?sign=1");
    expect(signed).toMatch(/^GRÜßE\nsignature: [0-9a-f]{64}\n$/);
    expect(signed).not.toContain("the-key");
  });
});
