import { afterAll, expect, test } from "@jest/globals";
import { Transforms } from "../../events/transforms/transforms.ts";

const transforms = new Transforms({ timeLimitMs: 1_000, log: { warn: () => {} } });
afterAll(() => transforms.close());

const input = '{"data":{"n":1}}';
/** Others are evaluated while an attack is, and after it. */
async function survives(attack: string, expected: unknown): Promise<void> {
  const [, other] = await Promise.all([
    expect(transforms.evaluate(attack, input)).rejects.toMatchObject(expected as object),
    transforms.evaluate("data.n + 1", input),
  ]);
  expect(other).toBe(2);
  expect(await transforms.evaluate("data.n + 2", input)).toBe(3);
}

const timeout = { kind: "timeout" };
const unprocessable = { kind: "unprocessable" };
const memory = {
  kind: "unprocessable",
  message: expect.stringMatching(/MB of memory|exceeded|too large|string length/i),
};
const ended = { kind: expect.stringMatching(/^(timeout|unprocessable)$/) };

test.each<[attack: string, expression: string, expected: object]>([
  ["an endless loop", "($f := function() { $f() }; $f())", timeout],
  ["endless recursion", "($f := function() { 1 + $f() }; $f())", { message: expect.stringContaining("D1011") }],
  ["a regular expression that backtracks for ever", '$match($pad("", 60, "a") & "!", /^(a+)+$/)', timeout],
  ["a list of a billion", "$sum([1..1e9])", unprocessable],
  ["a list of ten million", "$sum([1..1e7])", unprocessable],
  ["lists of millions in one another", "[1..1000].([1..1000].([1..1000]))", ended],
  ["a list that doubles", "$reduce([1..100], function($a, $b) { $append($a, $a) }, [1, 2])", ended],
  ["a text that doubles", '($f := function($x) { $f($x & $x) }; $f("xxxxxxxx"))', memory],
  ["a text of half a gigabyte", '$length($pad("x", 5e8))', memory],
  ["one large allocation after another", '$base64encode($pad("x", 1e8))', ended],
  ["a picture of ten million characters", '$formatNumber(1, $pad("#", 1e7, "#"))', ended],
  ["an expression within the expression", '$eval("($f := function() { $f() }; $f())")', ended],
  [
    "a sort whose comparison never ends",
    "$sort([1, 2], function($l, $r) { ($f := function() { $f() }; $f()) })",
    timeout,
  ],
  ["the function that makes functions", '$sum.constructor("return process")()', unprocessable],
  [
    "a huge result",
    '$map([1..30000], function($i) { $pad("x", 100) })',
    { message: expect.stringContaining("1048576") },
  ],
])("%s", async (_attack, expression, expected) => {
  await survives(expression, expected);
});

test.each([
  ["globals", "[process, globalThis, require, $process, $globalThis, $require, $eval.constructor]"],
  ["what objects inherit", "[constructor, __proto__, toString, hasOwnProperty, data.constructor, data.__proto__.x]"],
])("%s are not there", async (_what, expression) => {
  expect(await transforms.evaluate(expression, input)).toEqual([]);
});

test("prototypes stay as they are", async () => {
  const own = new Transforms({ processes: 1, log: { warn: () => {} } });
  const attacks = [
    '$merge([{"__proto__": {"polluted": 1}}])',
    'data.{"__proto__": {"polluted": 1}}',
    '$ ~> |data|{"__proto__": {"polluted": 1}}|',
    '$each({"a": 1}, function($v, $k) { {"constructor": {"prototype": {"polluted": 1}}} })',
  ];
  for (const attack of attacks) await own.evaluate(attack, '{"data":{"__proto__":{"polluted":1},"n":1}}');
  expect(await own.evaluate("[polluted, {}.polluted, data.polluted]", input)).toEqual([]);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  own.close();
});

test("brackets in one another by the thousands are refused, and cost nobody else anything", async () => {
  await expect(transforms.check(`${"(".repeat(8_000)}1${")".repeat(8_000)}`, "transform")).rejects.toBeDefined();
  await expect(transforms.check("[".repeat(16_000), "transform")).rejects.toMatchObject({ kind: "invalid" });
  expect(await transforms.evaluate("data.n", input)).toBe(1);
});

test("an expression that hangs for each of its events leaves the others their turn", async () => {
  const endless = "($f := function() { $f() }; $f())";
  const hanging = Array.from({ length: 5 }, () => transforms.evaluate(endless, input).catch((error) => error.kind));
  const began = performance.now();
  expect(await transforms.evaluate("data.n", input)).toBe(1);
  const waited = performance.now() - began;
  expect(await Promise.all(hanging)).toEqual(Array(5).fill("timeout"));
  // All five in a row take at least as long.
  expect(waited).toBeLessThan(performance.now() - began);
});
