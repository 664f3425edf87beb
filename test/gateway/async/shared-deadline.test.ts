import { expect, test } from "@jest/globals";
import { SharedDeadline } from "../../../gateway/async/worker/shared-deadline.ts";
import { eventually } from "../../support/eventually.ts";

test("each item has the whole time, and expires once", async () => {
  const addedAt = new Map<string, number>();
  const took = new Map<string, number>();
  const expired: string[] = [];
  const deadline = new SharedDeadline<string>(100, (item) => {
    expired.push(item);
    took.set(item, performance.now() - (addedAt.get(item) as number));
  });
  const add = (item: string) => {
    addedAt.set(item, performance.now());
    deadline.add(item);
  };
  add("a");
  add("b");
  deadline.delete("b");
  await eventually("half of its time is over", () => performance.now() - (addedAt.get("a") as number) > 50);
  add("c");
  await eventually("both have expired", () => expired.length === 2);
  expect(expired).toEqual(["a", "c"]);
  for (const ms of took.values()) expect(ms).toBeGreaterThanOrEqual(99);
  add("d");
  await eventually("a later one expires too", () => expired.includes("d"));
  deadline.close();
});

test("closing forgets all of them", async () => {
  const expired: string[] = [];
  const deadline = new SharedDeadline<string>(10, (item) => expired.push(item));
  const other = new SharedDeadline<string>(30, () => expired.push("other"));
  deadline.add("a");
  other.add("b");
  expect(deadline.size).toBe(1);
  deadline.close();
  await eventually("longer than that has passed", () => expired.length > 0);
  expect(expired).toEqual(["other"]);
  other.close();
});
