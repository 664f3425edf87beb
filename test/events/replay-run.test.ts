import { expect, test } from "@jest/globals";
import { FaasError } from "../../contract/errors.ts";
import { decodeReplayRequest } from "../../contract/events/replay-spec.ts";
import { beginReplay, type Replay } from "../../events/ledger/replay.ts";
import { type ReplayProgress, ReplayRun, type ReplayStore } from "../../events/ledger/replay-run.ts";
import type { DeliveryRecord, EventRecord, NewDelivery } from "../../events/store/event-store.ts";

const NS = "openfaas-fn";
const TRIGGER = `trigger/${NS}/a`;

/** A store of so many events that were delivered, which fails when it is told to. */
function storeOf(count: number, failing: (ref: string, tries: number) => FaasError | undefined = () => undefined) {
  const sent: string[] = [];
  const tries = new Map<string, number>();
  const replays = new Map<string, DeliveryRecord[]>();
  const delivery = (id: string, given: Partial<DeliveryRecord> = {}): DeliveryRecord => ({
    id,
    trigger: TRIGGER,
    state: "delivered",
    attempts: [],
    tries: 1,
    ...given,
  });
  const recordOf = (ref: string): EventRecord => ({
    event: {
      ref,
      broker: { namespace: NS, name: "default" },
      event: { attributes: { specversion: "1.0", id: ref, source: "/s", type: "t" } },
      headers: [],
      hops: 1,
      arrivedAt: 1,
      via: "http",
    },
    dataBytes: 0,
    pending: false,
    verdicts: [],
    deliveries: [delivery("d"), ...(replays.get(ref) ?? [])],
  });
  const refs = Array.from({ length: count }, (_, place) => String(10_000 + place));
  const store: ReplayStore = {
    list: async (_query, { after = "", limit }) => {
      const rest = refs.filter((ref) => ref > after);
      const page = rest.slice(0, limit);
      return { events: page.map(recordOf), ...(rest.length > limit && { next: page.at(-1) as string }) };
    },
    find: async (_namespace, ref) => (refs.includes(ref) ? recordOf(ref) : undefined),
    deliverAgain: async (_namespace, ref, [given]) => {
      tries.set(ref, (tries.get(ref) ?? 0) + 1);
      const error = failing(ref, tries.get(ref) as number);
      if (error) throw error;
      sent.push(ref);
      replays.set(ref, [delivery("r", { replay: (given as NewDelivery).replay as string })]);
    },
  };
  return { store, sent, refs };
}

const replayOf = (given: object = {}): Replay =>
  beginReplay(decodeReplayRequest({ all: true, name: "r", rate: 10_000, ...given }), NS, 2);

async function run(replay: Replay, store: ReplayStore, wanted: (progress: ReplayProgress) => boolean = () => true) {
  const notes: ReplayProgress[] = [];
  const note = async (progress: ReplayProgress) => {
    notes.push(progress);
    return wanted(progress);
  };
  await new ReplayRun(replay, { store, note, now: () => 3, signal: new AbortController().signal }).run();
  return notes;
}

test("each event goes out once, in pages and chunks, and the end is told", async () => {
  const { store, sent, refs } = storeOf(450);
  const notes = await run(replayOf(), store);
  expect(sent).toEqual(refs);
  expect(notes.at(-1)).toEqual({
    state: "COMPLETED",
    total: 450,
    done: 450,
    skipped: 0,
    lastRef: refs.at(-1),
    lastArrivedAt: 1,
    endedAt: 3,
  });
});

test("what is not kept any more is skipped, and counted", async () => {
  const gone = new Set(["10003", "10005"]);
  const { store, sent } = storeOf(10, (ref) =>
    gone.has(ref) ? new FaasError(ref === "10003" ? "notFound" : "conflict", "x") : undefined,
  );
  expect((await run(replayOf(), store)).at(-1)).toMatchObject({ total: 10, done: 8, skipped: 2 });
  expect(sent).toHaveLength(8);
});

test("a store that fails in the middle of the first chunk gets nothing twice, and the reason is told meanwhile", async () => {
  const { store, sent, refs } = storeOf(30, (ref, tries) =>
    ref === "10010" && tries === 1 ? new FaasError("unavailable", "the disk is full") : undefined,
  );
  const notes = await run(replayOf(), store);
  expect(notes.some(({ problem }) => problem === "the disk is full")).toBe(true);
  expect(notes.at(-1)).toMatchObject({ state: "COMPLETED", done: 30 });
  expect(notes.at(-1)).not.toHaveProperty("problem");
  expect([...sent].sort()).toEqual(refs);
});

test("one that goes on after a crash leaves what went out after the last note", async () => {
  const { store, sent, refs } = storeOf(40);
  for (const ref of ["10020", "10022"]) await store.deliverAgain(NS, ref, [{ trigger: TRIGGER, replay: "r" }]);
  const before = sent.splice(0);
  const kept: Replay = { ...replayOf(), state: "RUNNING", total: 40, done: 20, lastRef: "10019" };
  expect((await run(kept, store)).at(-1)).toMatchObject({ state: "COMPLETED", done: 40 });
  expect([...before, ...sent].sort()).toEqual(refs.slice(20));
});

test("one that is not wanted any more sends nothing", async () => {
  const { store, sent } = storeOf(10);
  await run({ ...replayOf(), state: "RUNNING", total: 10 }, store, () => false);
  expect(sent).toEqual([]);
});
