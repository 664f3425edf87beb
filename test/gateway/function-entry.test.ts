import { afterAll, test } from "@jest/globals";
import { FunctionEntry } from "../../gateway/proxy/function-entry.ts";
import { StartupTallies } from "../../gateway/proxy/startup-tallies.ts";
import { eventually } from "../support/eventually.ts";

const ADDRESSES = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];
const entry = new FunctionEntry(
  { name: "fn", namespace: "ns", labels: {}, annotations: {}, replicas: 3, generation: 1, endpoints: [] },
  { maxHeld: 1, connectTimeoutMs: 1000, timeoutMs: 1000, startups: new StartupTallies() },
);
entry.update({
  ...entry.snapshot,
  endpoints: ADDRESSES.map((address) => ({ address, instance: address, state: "ready" })),
});

afterAll(async () => {
  await entry.destroy();
});

const choose = () => {
  const choice = entry.choose();
  return choice.kind === "replica" ? choice.replica.address : choice.kind;
};

test("idle replicas take turns, but for calls that follow each other at once", async () => {
  const seen = new Set<string>();
  await eventually("all have had a turn", () => seen.add(choose()).size === ADDRESSES.length);
  // Something may come in between, so not every try shows it.
  await eventually("ten in a row at the same", () => new Set(Array.from({ length: 10 }, choose)).size === 1);
});

test("nor do they take turns for calls that come a few milliseconds apart", async () => {
  await eventually("four in a row at the same", async () => {
    const seen = new Set<string>();
    for (let call = 0; call < 4; call++) {
      seen.add(choose());
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    return seen.size === 1;
  });
});
