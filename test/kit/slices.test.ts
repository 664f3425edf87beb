import { expect, test } from "@jest/globals";
import { Slices } from "../../kit/slices.ts";

function* counting(name: string, slices: number, seen: string[]): Generator<undefined, string> {
  for (let i = 0; i < slices; i++) {
    seen.push(`${name}${i}`);
    yield;
  }
  return name;
}

test("one slice has its turn each time round the event loop, whoever's it is", async () => {
  const slices = new Slices();
  const seen: string[] = [];
  const tick = () => {
    seen.push("|");
    if (seen.length < 20) setImmediate(tick);
  };
  setImmediate(tick);
  const running = [slices.run(counting("a", 3, seen)), slices.run(counting("b", 3, seen))];
  expect(await Promise.all(running)).toEqual(["a", "b"]);
  const turns = seen
    .join("")
    .split("|")
    .map((turn) => turn.length / 2);
  // The first of each has its turn at once.
  expect(turns[0]).toBe(2);
  expect(turns.slice(1).every((count) => count <= 1)).toBe(true);
  expect(seen.filter((one) => one !== "|")).toEqual(["a0", "b0", "a1", "b1", "a2", "b2"]);
});

test("what is done in one slice does not wait", async () => {
  let turns = 0;
  const count = () => {
    turns++;
    setImmediate(count);
  };
  const ticking = setImmediate(count);
  await new Slices().run(counting("a", 0, []));
  expect(turns).toBe(0);
  clearImmediate(ticking);
});

test("what fails, fails for who has it run", async () => {
  const slices = new Slices();
  const failing = (function* () {
    yield;
    throw new Error("no use");
  })();
  const seen: string[] = [];
  const other = slices.run(counting("a", 2, seen));
  await expect(slices.run(failing)).rejects.toThrow("no use");
  expect(await other).toBe("a");
});
