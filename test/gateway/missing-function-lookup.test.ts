import { expect, test } from "@jest/globals";
import { qualifiedName } from "../../contract/functions.ts";
import { FunctionTable } from "../../gateway/proxy/function-table.ts";
import { MissingFunctionLookup, type ProviderQuestions } from "../../gateway/proxy/missing-function-lookup.ts";
import { eventually } from "../support/eventually.ts";

/** A provider that notes how many functions each question is about. */
function open(answer: ProviderQuestions["exist"] = async () => new Set()) {
  const table = new FunctionTable({ defaultNamespace: "openfaas-fn", maxHeld: 1, timeoutMs: 1, connectTimeoutMs: 1 });
  const questions: number[] = [];
  const seen = { hurried: 0, atOnce: 0, most: 0 };
  const late = new MissingFunctionLookup({
    table,
    provider: {
      exist: async (refs, signal) => {
        questions.push(refs.length);
        seen.most = Math.max(seen.most, ++seen.atOnce);
        try {
          return await answer(refs, signal);
        } finally {
          seen.atOnce--;
        }
      },
      expedite: () => {
        seen.hurried++;
      },
    },
  });
  const put = (name: string) =>
    table.apply({
      type: "changed",
      function: {
        name,
        namespace: "openfaas-fn",
        labels: {},
        annotations: {},
        replicas: 1,
        generation: 1,
        endpoints: [],
      },
    });
  return { late, questions, seen, put };
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `nobody-${i}`);

test("20,000 unknown names at a time are one question", async () => {
  const { late, questions } = open();
  const found = await Promise.all(names(20_000).map((name) => late.find(name)));
  expect(new Set(found)).toEqual(new Set([undefined]));
  expect(questions).toEqual([20_000]);
});

test("names that go on coming are asked for together, one question at a time", async () => {
  const { late, questions, seen } = open(async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return new Set();
  });
  const asked: Promise<unknown>[] = [];
  for (const name of names(2_000)) {
    asked.push(late.find(name));
    if (asked.length % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(new Set(await Promise.all(asked))).toEqual(new Set([undefined]));
  expect(questions.reduce((sum, count) => sum + count, 0)).toBe(2_000);
  expect(questions.length).toBeLessThan(10);
  expect(seen.most).toBe(1);
});

test("the same name by both of its spellings is one, and a no is remembered for a moment", async () => {
  const { late, questions } = open();
  await Promise.all([late.find("f"), late.find("f.openfaas-fn"), late.find("f")]);
  await late.find("f");
  expect(questions).toEqual([1]);
});

test("what no function can be called is unknown without a question", async () => {
  const { late, questions } = open();
  const odd = ["F", "1f", "a_b", "f.N", "f.-", `f.${"n".repeat(64)}`, "f".repeat(64), "f".repeat(100_000)];
  for (const name of odd) expect(await late.find(name)).toBeUndefined();
  expect(questions).toEqual([]);
});

test("a function that is deployed while a question about its name is under way is found", async () => {
  const deployed = new Set<string>();
  const first = Promise.withResolvers<void>();
  const { late, questions, put, seen } = open(async (refs) => {
    const known = new Set(refs.map(qualifiedName).filter((name) => deployed.has(name)));
    if (questions.length === 1) await first.promise;
    return known;
  });
  const before = late.find("f");
  await eventually("it is asked for", () => questions.length === 1);
  deployed.add("f.openfaas-fn");
  const after = late.find("f");
  first.resolve();
  expect(await before).toBeUndefined();
  await eventually("the stream is hurried", () => seen.hurried === 1);
  put("f");
  expect((await after)?.name).toBe("f");
});

test("a provider that fails is no answer, and the next question is asked all the same", async () => {
  let fails = true;
  const { late } = open(async () => {
    if (fails) throw new Error("no connection");
    return new Set();
  });
  await expect(Promise.all([late.find("a"), late.find("b")])).rejects.toThrow("the provider does not answer");
  fails = false;
  expect(await late.find("a")).toBeUndefined();
});

test("a provider that hangs is given up", async () => {
  const { late } = open(
    (_refs, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true })),
  );
  await expect(late.find("a")).rejects.toThrow("the provider does not answer");
}, 15_000);
