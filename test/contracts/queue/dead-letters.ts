import { expect, test } from "@jest/globals";
import type { DeadLetter, DeadLetterFilter } from "../../../gateway/queue/queue.ts";
import { type QueueSetup, soon } from "./setup.ts";

/** Dead calls can be listed, queued anew and dropped. */
export function deadLettersContract(setup: QueueSetup): void {
  const list = async (filter: DeadLetterFilter = {}): Promise<readonly DeadLetter[]> =>
    (await setup.queue.deadLetters.list(filter, { limit: 1000 })).items;
  const callIds = async (filter?: DeadLetterFilter) => (await list(filter)).map(({ callId }) => callId);

  test("lists the dead with what there is to know, oldest first", async () => {
    const acceptedAt = Date.now() - 10_000;
    const [id] = await setup.bury(
      { callId: "first", queue: "lane", acceptedAt, body: new Uint8Array(123) },
      { callId: "second" },
    );
    const [first, second] = await soon("both are listed", async () => {
      const items = await list();
      return items.length === 2 && items;
    });
    const { diedAt, ...rest } = first as DeadLetter;
    expect(rest).toEqual({
      id,
      callId: "first",
      queue: "lane",
      function: "shout",
      namespace: "openfaas-fn",
      reason: "no use: first",
      attempts: 1,
      status: 500,
      acceptedAt,
      bodyBytes: 123,
    });
    expect(diedAt).toBeGreaterThan(acceptedAt);
    expect(second?.callId).toBe("second");
    expect(await list({ id: "unknown" })).toEqual([]);
  });

  test("lists page by page", async () => {
    const names = ["0", "1", "2", "3", "4"];
    await setup.bury(...names.map((callId) => ({ callId })));
    await soon("all are listed", async () => (await list()).length === 5);
    const seen: string[] = [];
    let after: string | undefined;
    let pages = 0;
    do {
      const page = await setup.queue.deadLetters.list({}, { limit: 2, ...(after !== undefined && { after }) });
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ callId }) => callId));
      after = page.next;
      pages++;
    } while (after !== undefined && pages < 10);
    expect(seen).toEqual(names);
    await expect(setup.queue.deadLetters.list({}, { limit: 2, after: "no page of yours" })).rejects.toMatchObject({
      kind: "invalid",
    });
  });

  test("chooses by id, function and time of death", async () => {
    const [id] = await setup.bury(
      { callId: "a", function: "one" },
      { callId: "b", function: "two" },
      { callId: "c", function: "one", namespace: "elsewhere" },
      { callId: "d", function: "one" },
    );
    const items = await soon("all are listed", async () => {
      const now = await list();
      return now.length === 4 && now;
    });
    const [a, b, c] = items as [DeadLetter, DeadLetter, DeadLetter];
    const one = { name: "one", namespace: "openfaas-fn" };
    expect(await callIds({ id: id as string })).toEqual(["a"]);
    expect(await callIds({ function: one })).toEqual(["a", "d"]);
    expect(await callIds({ since: b.diedAt })).toEqual(["b", "c", "d"]);
    expect(await callIds({ until: b.diedAt })).toEqual(["a"]);
    expect(await callIds({ since: b.diedAt, until: c.diedAt })).toEqual(["b"]);
    expect(await callIds({ function: one, since: a.diedAt + 1 })).toEqual(["d"]);
    const page = await setup.queue.deadLetters.list({ function: one }, { limit: 1 });
    expect(page.items.map(({ callId }) => callId)).toEqual(["a"]);
    const rest = await setup.queue.deadLetters.list({ function: one }, { limit: 5, after: page.next as string });
    expect(rest.items.map(({ callId }) => callId)).toEqual(["d"]);
    expect(rest.next).toBeUndefined();
  });

  test("queues what is replayed anew, whole and with all of its attempts", async () => {
    const [id] = await setup.bury(
      { callId: "again", path: "/p", query: "q", headers: [["A", "b"]], body: Buffer.from("whole") },
      { callId: "stays", function: "other" },
    );
    await soon("both are listed", async () => (await list()).length === 2);
    expect(await setup.queue.deadLetters.replay({ id: id as string })).toBe(1);
    const deliveries = await setup.hold();
    await soon("it is tried again", () => deliveries.started.length === 1);
    const { call, attempt } = deliveries.started[0] as (typeof deliveries.started)[0];
    expect(attempt).toBe(1);
    expect(call).toMatchObject({ id, callId: "again", path: "/p", query: "q", headers: [["A", "b"]] });
    expect(Buffer.from(call.body).toString()).toBe("whole");
    expect(await callIds()).toEqual(["stays"]);
    deliveries.end(call.id, { kind: "done", outcome: { status: 201, durationMs: 1 } });
    expect(await setup.untilState("again", "done")).toMatchObject({ id, attempts: 1, status: 201 });
    expect((await setup.queue.stats()).dead).toBe(1);
  });

  test("what is replayed waits, and outlasts a restart", async () => {
    const [id] = await setup.bury({});
    await soon("it is listed", async () => (await list()).length === 1);
    expect(await setup.queue.deadLetters.replay({})).toBe(1);
    expect(await setup.untilState(id as string, "waiting")).toMatchObject({ attempts: 0 });
    await setup.reopen();
    expect(await list()).toEqual([]);
    const deliveries = await setup.hold();
    await soon("it is tried again", () => deliveries.started.length === 1);
    expect(deliveries.ids).toEqual([id]);
  });

  test("what is replayed can die again", async () => {
    const [id] = await setup.bury({ callId: "twice" });
    await soon("it is listed", async () => (await list()).length === 1);
    await setup.queue.deadLetters.replay({});
    await setup.consume(async () => ({ kind: "dead", reason: "still no use" }));
    const [item] = await soon("it is listed again", async () => {
      const now = await list();
      return now[0]?.reason === "still no use" && now;
    });
    expect(item).toMatchObject({ id, callId: "twice", attempts: 1 });
    expect(item).not.toHaveProperty("status");
  });

  test("counts what is replayed though it dies again at once, and what came of it lasts", async () => {
    const ids = await setup.bury(...Array.from({ length: 20 }, () => ({})));
    await soon("all are listed", async () => (await list()).length === ids.length);
    await setup.consume(async () => ({ kind: "dead", reason: "still no use" }));
    expect(await setup.queue.deadLetters.replay({})).toBe(ids.length);
    const again = await soon("all are listed again", async () => {
      const now = await list();
      return now.length === ids.length && now.every(({ reason }) => reason === "still no use") && now;
    });
    expect(again.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(await setup.queue.deadLetters.drop({})).toBe(ids.length);
  });

  test("replays and drops what a filter matches, and tells how many", async () => {
    await setup.bury({ function: "a" }, { function: "a" }, { function: "b" });
    await soon("all are listed", async () => (await list()).length === 3);
    const { deadLetters } = setup.queue;
    const a = { name: "a", namespace: "openfaas-fn" };
    expect(await deadLetters.drop({ function: { ...a, namespace: "elsewhere" } })).toBe(0);
    expect(await deadLetters.drop({ function: a })).toBe(2);
    expect(await deadLetters.drop({ function: a })).toBe(0);
    expect((await list()).map(({ function: name }) => name)).toEqual(["b"]);
    expect(await deadLetters.replay({ function: a })).toBe(0);
    expect(await deadLetters.replay({})).toBe(1);
    expect(await list()).toEqual([]);
    await soon("that shows", async () => {
      const { dead, waiting } = await setup.queue.stats();
      return dead === 0 && waiting === 1;
    });
  });

  test("keeps the latest when there are too many", async () => {
    await setup.reopen({ maxDead: 3 });
    await setup.bury(...["0", "1", "2", "3", "4"].map((callId) => ({ callId })));
    await soon("the oldest are gone", async () => (await list()).length === 3);
    expect(await callIds()).toEqual(["2", "3", "4"]);
    expect((await setup.queue.stats()).dead).toBe(3);
  });
}
