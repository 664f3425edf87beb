import { expect, test } from "@jest/globals";
import { StartOrder } from "../../../../gateway/queue/worker/start-order.ts";

test("calls begin in the order in which they joined, whatever is ready first", async () => {
  const order = new StartOrder();
  const begun: string[] = [];
  const ready = new Map(["a", "b", "c", "d"].map((name) => [name, Promise.withResolvers<void>()]));
  const all = [...ready].map(async ([name, { promise }]) => {
    const turn = order.join();
    await promise;
    // It is not to begin, and must let nobody past those before it.
    if (name === "c") return turn.pass();
    await turn.come;
    begun.push(name);
    turn.pass();
    turn.pass();
  });
  expect(order.idle).toBe(false);
  for (const name of ["c", "d", "b", "a"]) {
    ready.get(name)?.resolve();
    await new Promise(setImmediate);
    if (name !== "a") expect(begun).toEqual([]);
  }
  await Promise.all(all);
  expect(begun).toEqual(["a", "b", "d"]);
  await new Promise(setImmediate);
  expect(order.idle).toBe(true);
});
