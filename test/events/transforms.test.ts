import { afterAll, expect, test } from "@jest/globals";
import { FairQueue } from "../../events/transforms/fair-queue.ts";
import { Transforms } from "../../events/transforms/transforms.ts";

const transforms = new Transforms({ log: { warn: () => {} } });
afterAll(() => transforms.close());

const attributes = { specversion: "1.0", id: "1", source: "/shop", type: "order.placed" };
const order = {
  attributes: { ...attributes, datacontenttype: "application/json", total: 3 },
  data: Buffer.from('{"items":[{"price":2},{"price":5}],"name":"Ö"}'),
};

test("an event becomes what the expression gives", async () => {
  const made = await transforms.transform(
    '$merge([$, {"type": "order.summed", "data": {"sum": $sum(data.items.price), "name": data.name}}])',
    order,
  );
  expect(made.attributes).toEqual({ ...order.attributes, type: "order.summed" });
  expect(made.data?.toString()).toBe('{"sum":7,"name":"Ö"}');
});

test("data that is text is a text, and what is neither JSON nor text is base64", async () => {
  const text = { attributes: { ...attributes, datacontenttype: "text/plain" }, data: Buffer.from("hello") };
  const upper = '$merge([$, {"data": $uppercase(data)}])';
  expect((await transforms.transform(upper, text)).data?.toString()).toBe("HELLO");
  const bytes = { attributes: { ...attributes, datacontenttype: "image/png" }, data: Buffer.from([0xff, 0xfe, 0]) };
  expect(await transforms.transform('$merge([$, {"subject": data_base64}])', bytes)).toEqual({
    attributes: { ...bytes.attributes, subject: "//4A" },
    data: bytes.data,
  });
});

test.each([
  ["nothing", "data.nowhere", /gives nothing/],
  ["a value", "data.items", /does not give a whole event/],
  ["an event without a type", '{"specversion": "1.0", "id": "1", "source": "/a"}', /type: is required/],
  ["an attribute that is a list", '$merge([$, {"subject": [1]}])', /subject/],
  ["a function", "function($x) { $x }", /gives a function/],
  ["an error of its own", '$error("no such customer")', /no such customer/],
])("what gives %s is no transform of an event", async (_what, expression, message) => {
  await expect(transforms.transform(expression, order)).rejects.toMatchObject({
    kind: "unprocessable",
    message: expect.stringMatching(message),
  });
});

test("an expression that cannot be read is refused with the place", async () => {
  await expect(transforms.check("data.items[", "transform")).rejects.toMatchObject({
    kind: "invalid",
    message: expect.stringMatching(/^transform: .*\(S0203, at character 11\)$|^transform: .*at character 11\)$/),
  });
  await expect(transforms.check("data.items[0]", "transform")).resolves.toBeUndefined();
  await expect(transforms.check("a".repeat(20_000), "transform")).rejects.toMatchObject({ kind: "invalid" });
});

test("a value is given as JSON has it, with variables", async () => {
  expect(await transforms.evaluate("data.items.price", '{"data":{"items":[{"price":2},{"price":5}]}}')).toEqual([2, 5]);
  expect(await transforms.evaluate("$add + 1", "{}", { add: 2 })).toBe(3);
  expect(await transforms.evaluate("nothing", "{}")).toBeUndefined();
});

test("many evaluations at a time all come to their end", async () => {
  const values = await Promise.all(
    Array.from({ length: 200 }, (_, i) => transforms.evaluate(`n + ${i % 7}`, JSON.stringify({ n: i }))),
  );
  expect(values).toEqual(Array.from({ length: 200 }, (_, i) => i + (i % 7)));
});

test("none waits behind more than the limit, and after the end none is begun", async () => {
  const own = new Transforms({ processes: 1, maxWaiting: 2, log: { warn: () => {} } });
  const first = [own.evaluate("1", "{}"), own.evaluate("2", "{}")];
  await expect(own.evaluate("3", "{}")).rejects.toMatchObject({ kind: "overloaded" });
  expect(await Promise.all(first)).toEqual([1, 2]);
  const cut = own.evaluate("4", "{}");
  own.close();
  await expect(cut).rejects.toMatchObject({ kind: "unavailable" });
  await expect(own.evaluate("5", "{}")).rejects.toMatchObject({ kind: "unavailable" });
});

test("a process that has nothing to do ends, and another one comes when there is something", async () => {
  const own = new Transforms({ processes: 1, idleMs: 1, log: { warn: () => {} } });
  for (const round of [1, 2, 3]) {
    expect(await own.evaluate(String(round), "{}")).toBe(round);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  own.close();
});

test("keys take turns, whatever each has waiting", () => {
  const queue = new FairQueue<number>();
  for (const item of [1, 2, 3]) queue.add("a", item);
  queue.add("b", 4);
  const taken = () => queue.take(() => true)?.item;
  expect([taken(), taken(), taken(), taken(), taken()]).toEqual([1, 4, 2, 3, undefined]);
  queue.add("a", 5);
  expect(queue.take((key) => key !== "a")).toBeUndefined();
  expect(queue.clear()).toEqual([5]);
  expect(queue.size).toBe(0);
});
