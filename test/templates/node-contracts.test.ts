import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { TEMPLATES } from "./support/build-context.ts";
import type { FunctionOptions } from "./support/function-process.ts";
import { startWritten } from "./support/written-function.ts";

const { exportedFunction } = await import(join(TEMPLATES, "node/runtime/check.mjs"));
const { decideContract } = await import(join(TEMPLATES, "node/runtime/contract.mjs"));

const start = (source: string, options?: FunctionOptions) => startWritten("node", { "handler.js": source }, options);

describe("(context, callback)", () => {
  test.each<[rule: string, source: string, sent: string, body: string]>([
    ["gets text, and calls back with text", "callback(undefined, context.toUpperCase())", '{"a":1}', '{"A":1}'],
    ["an object becomes a line of JSON", "callback(undefined, { said: context })", "x", '{"said":"x"}\n'],
    ["an array too", "callback(undefined, [context])", "x", '["x"]\n'],
    ["nothing is an empty answer", "callback()", "x", ""],
    ["what it prints comes first", "console.log('one'); callback(undefined, 'two')", "", "one\ntwo"],
    ["it may call back later", "setTimeout(() => { console.log('late'); callback(null, 'r'); }, 5)", "", "late\nr"],
    ["a promise is an answer", "return Promise.resolve(context)", "x", "x"],
    ["bytes stay bytes", "callback(undefined, Buffer.from('b'))", "", "b"],
  ])("%s", async (_rule, source, sent, body) => {
    await using fn = await start(`module.exports = (context, callback) => { ${source}; };`);
    // A body of this type would be an object by the other contract.
    const answer = await fetch(fn.url, { method: "POST", body: sent, headers: { "content-type": "application/json" } });
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([200, null, body]);
  });

  test("finds the rest of the request in its environment, call by call, and so do its programs", async () => {
    const source = `
const { execFile } = require("node:child_process");
module.exports = (context, callback) => {
  const own = ["Http_Method", "Http_Path", "Http_Query", "Http_X_Api_Key", "Http_Content_Length"];
  if ("Http_Nothing" in process.env || !Object.keys(process.env).includes("Http_Path")) throw new Error("environment");
  setTimeout(() => {
    execFile("sh", ["-c", "printf %s $Http_X_Api_Key"], (error, stdout) =>
      callback(error, own.map((name) => process.env[name] ?? "-").join(";") + ";" + stdout));
  }, 20);
};`;
    await using fn = await start(source);
    const call = async (path: string, key: string) =>
      (await fetch(fn.url + path, { method: "PUT", body: key, headers: { "x-API-key": key } })).text();
    expect(await Promise.all([call("/a%20b?q=1", "k"), call("/c", "kk")])).toEqual([
      "PUT;/a b;q=1;k;1;k",
      "PUT;/c;-;kk;2;kk",
    ]);
  });

  test.each(["callback(new Error('deliberate'))", "throw new Error('deliberate')"])("%s is a 500", async (source) => {
    await using fn = await start(`module.exports = (context, callback) => { ${source}; };`);
    expect((await fetch(fn.url)).status).toBe(500);
    await eventually("the reason is in the log", () => fn.log().includes("deliberate"));
  });

  test("a body over MAX_TEXT_SIZE is refused", async () => {
    const source = "module.exports = (context, callback) => callback(undefined, String(context.length));";
    await using fn = await start(source, { env: { MAX_TEXT_SIZE: "1kb" } });
    const post = (size: number) => fetch(fn.url, { method: "POST", body: "x".repeat(size) });
    expect(await (await post(1024)).text()).toBe("1024");
    expect((await post(1025)).status).toBe(413);
  });
});

test.each<[source: string, contract: string]>([
  ["(event, context) => 1", "event"],
  ["async (event, context, callback) => 1", "event"],
  ["(event) => 1", "event"],
  ["event => 1", "event"],
  ["async event => 1", "event"],
  ["() => 1", "event"],
  ["function () { return (context, callback) => 1; }", "event"],
  ["(...args) => 1", "event"],
  ["({ body }, context) => 1", "event"],
  ["(event, context = {}) => 1", "event"],
  ["async function handle(event, { status }) {}", "event"],
  ["(a, b, c, d = 1, ...e) => 1", "event"],
  ["function () { [native code] }", "event"],
  ["(context, callback) => 1", "text"],
  ["function (context, callback) {}", "text"],
  ["async function handle(body, done) {}", "text"],
  ["handle(context, /* (error, value) */ cb) {}", "text"],
  ["(context /* text, callback */, // and\n callback) => 1", "text"],
  ["(context = 'a,b)', callback) => 1", "text"],
  ["context => 1", "text"],
])("%s keeps the contract %s", (source, contract) => {
  expect(decideContract(source)).toBe(contract);
});

test.each([
  ["class Handler {}", "the handler is a class"],
  ["(a, b, c, d) => 1", "the handler's parameters (a, b, c, d) fit no contract"],
  ["(a, { b }, c, d) => 1", "(a, {…}, c, d) fit no contract"],
])("%s keeps none", (source, reason) => {
  expect(() => decideContract(source)).toThrow(reason);
});

test.each<[source: string, found: string | undefined]>([
  ["module.exports = async (event) => 1;", "async (event) => 1;"],
  ["exports.handler = function (a) {}", "function (a) {}"],
  ["import x from 'y';\nexport default (a, b) => 1", "(a, b) => 1"],
  ["export const handler = event => 1", "event => 1"],
  ["class H {}\nmodule.exports = H;", "class H {}\nmodule.exports = H;"],
  ["async function run(a, b) {}\nmodule.exports = run;\n", "async function run(a, b) {}\nmodule.exports = run;\n"],
  ["const run = (a) => 1;\nexport default run", "(a) => 1;\nexport default run"],
  ["module.exports = require('./other');", undefined],
  ["module.exports = wrap((a, b, c, d) => 1);", undefined],
  ["exports.other = 1;", undefined],
])("the function in %j", (source, found) => {
  expect(exportedFunction(source)).toBe(found);
});

test.each([
  ["module.exports = (a, b, c, d) => 1;", "(a, b, c, d) fit no contract"],
  ["module.exports = class {};", "is a class"],
])("%s fails the build", async (source, reason) => {
  await expect(start(source)).rejects.toMatchObject({ stderr: expect.stringContaining(reason) });
});

test("what only running it shows fails the start", async () => {
  const source = "const run = (f) => f; module.exports = run((a, b, c, d) => 1);";
  await expect(start(source)).rejects.toThrow("(a, b, c, d) fit no contract");
});
