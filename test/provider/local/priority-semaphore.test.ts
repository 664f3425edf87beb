import { afterEach, expect, test } from "@jest/globals";
import { idleStarts } from "../../../provider/backends/local/idle-starts.ts";
import { PrioritySemaphore, type Rank } from "../../../provider/backends/local/priority-semaphore.ts";
import { eventually } from "../../support/eventually.ts";

const leaving = new AbortController();
afterEach(() => leaving.abort());

/** Those who want to be let in, by name. */
class Crowd {
  readonly inside: string[] = [];
  readonly ranks = new Map<string, Rank>();
  readonly #leaves = new Map<string, () => void>();
  readonly gate: PrioritySemaphore;

  constructor(gate: PrioritySemaphore) {
    this.gate = gate;
  }

  come(name: string, rank: Rank, signal = new AbortController().signal): void {
    this.ranks.set(name, rank);
    void this.gate
      .acquire(signal, () => this.ranks.get(name) as Rank)
      .then((leave) => {
        if (!leave) return;
        this.inside.push(name);
        this.#leaves.set(name, leave);
      });
  }

  async leave(name: string): Promise<void> {
    this.#leaves.get(name)?.();
    this.inside.splice(this.inside.indexOf(name), 1);
    await settled();
  }
}

const settled = () => new Promise(setImmediate);

test("the most urgent come first, those of one rank in the order they came", async () => {
  const crowd = new Crowd(new PrioritySemaphore({ slots: 1, idleSlots: 1 }));
  for (const [name, rank] of [
    ["first", "idle"],
    ["a", "idle"],
    ["b", "wanted"],
    ["c", "called"],
    ["d", "wanted"],
    ["e", "called"],
  ] as const) {
    crowd.come(name, rank);
  }
  await settled();
  const order: string[] = [];
  for (let next = crowd.inside[0]; next !== undefined; next = crowd.inside[0]) {
    order.push(next);
    await crowd.leave(next);
  }
  expect(order).toEqual(["first", "c", "e", "b", "d", "a"]);
});

test("whoever is called while waiting goes ahead", async () => {
  const crowd = new Crowd(new PrioritySemaphore({ slots: 1, idleSlots: 1 }));
  for (const name of ["first", "a", "b", "c"]) crowd.come(name, "idle");
  await settled();
  crowd.ranks.set("c", "called");
  crowd.gate.admitWaiting();
  await crowd.leave("first");
  expect(crowd.inside).toEqual(["c"]);
});

test("those for whom nobody waits leave places to others", async () => {
  const crowd = new Crowd(new PrioritySemaphore({ slots: 3, idleSlots: 1 }));
  for (const name of ["a", "b"]) crowd.come(name, "idle");
  await settled();
  expect(crowd.inside).toEqual(["a"]);
  for (const name of ["x", "y", "z"]) crowd.come(name, "called");
  await settled();
  expect(crowd.inside).toEqual(["a", "x", "y"]);
  await crowd.leave("a");
  expect(crowd.inside).toEqual(["x", "y", "z"]);
});

test("who has been let in as idle counts as such whatever becomes of its rank", async () => {
  const crowd = new Crowd(new PrioritySemaphore({ slots: 2, idleSlots: 1 }));
  crowd.come("a", "idle");
  await settled();
  crowd.ranks.set("a", "called");
  await crowd.leave("a");
  crowd.come("b", "idle");
  crowd.come("c", "idle");
  await settled();
  expect(crowd.inside).toEqual(["b"]);
});

test("who goes away leaves no gap", async () => {
  const crowd = new Crowd(new PrioritySemaphore({ slots: 1, idleSlots: 1 }));
  const left = new AbortController();
  crowd.come("first", "wanted");
  crowd.come("gone", "wanted", left.signal);
  crowd.come("next", "wanted");
  await settled();
  left.abort();
  await crowd.leave("first");
  expect(crowd.inside).toEqual(["next"]);
  expect(await crowd.gate.acquire(left.signal, () => "called")).toBeUndefined();
});

test("idle ones are let in once that is allowed again", async () => {
  let allowed = false;
  const crowd = new Crowd(new PrioritySemaphore({ slots: 2, idleSlots: 2, admitsIdle: () => allowed }));
  crowd.come("idle", "idle");
  crowd.come("wanted", "wanted");
  await settled();
  expect(crowd.inside).toEqual(["wanted"]);
  allowed = true;
  await eventually("it is let in", () => crowd.inside.includes("idle"));
});

test("functions that nobody calls are started a while after the platform, and while there is memory", async () => {
  let free = 0;
  const said: string[] = [];
  const log = {
    info: (_: object, text: string) => said.push(text),
    warn: (_: object, text: string) => said.push(text),
  };
  const may = idleStarts(log as never, () => free);
  free = 1024 ** 4;
  expect(may()).toBe(false);
  await eventually("the platform has had its time", may, 10_000);
  free = 1024 ** 2;
  expect([may(), may()]).toEqual([false, false]);
  free = 1024 ** 4;
  expect([may(), said]).toEqual([
    true,
    [expect.stringMatching(/^memory is low/), expect.stringMatching(/^memory is available/)],
  ]);
});
