import { expect, test } from "@jest/globals";
import { AnswerPace, Responsiveness } from "../../gateway/proxy/responsiveness.ts";
import { StalledReplicaWatch } from "../../gateway/proxy/stalled-replica-watch.ts";

/** One replica that was sent a call at 0, beside others that answered at the times given, each after 10 ms. */
function beside(...answeredAt: number[]) {
  const pace = new AnswerPace();
  for (const at of answeredAt) pace.note(10, at);
  const asked = { times: 0 };
  const silence = new Responsiveness(() => asked.times++);
  silence.sent(0);
  return { silence, pace, asked };
}

test.each<[what: string, answeredAt: number[], now: number, lags: boolean]>([
  ["that has just been called", [100], 200, false],
  ["that is silent while others answer", [100, 400], 600, true],
  ["that is silent as all are", [], 10_000, false],
  ["that is silent as others have been since it was called", [-100], 10_000, false],
])("a replica %s", (_what, answeredAt, now, lags) => {
  const { silence, pace } = beside(...answeredAt);
  expect(silence.lags(pace, now)).toBe(lags);
});

test("where answers take long, silence is no wonder for longer", () => {
  const { silence, pace } = beside();
  for (let i = 0; i < 100; i++) pace.note(1_000, 100);
  expect(silence.isStalled(pace, 3_000)).toBe(false);
  expect(silence.isStalled(pace, 4_500)).toBe(true);
});

test("it is asked now and then, less and less often, and gets no call before it answers", () => {
  const { silence, pace, asked } = beside(100);
  const askedAt: number[] = [];
  for (let now = 600; now < 60_000; now += 100) {
    expect(silence.lags(pace, now)).toBe(true);
    if (asked.times > askedAt.length) askedAt.push(now);
  }
  expect(askedAt).toEqual([1_600, 3_600, 7_600, 15_600, 31_600]);
  silence.answered(60_000);
  expect(silence.lags(pace, 60_001)).toBe(false);
});

test("one that answers when it is asked gets one call, and no other before that is answered", () => {
  const { silence, pace } = beside(100);
  silence.unanswered(true);
  expect([600, 1_600].map((now) => silence.lags(pace, now))).toEqual([true, true]);
  silence.alive();
  // Until one is sent there, which is not the next one if others are idle.
  expect([1_700, 1_800].map((now) => silence.lags(pace, now))).toEqual([false, false]);
  silence.sent(1_900);
  expect(silence.lags(pace, 1_901)).toBe(true);
  silence.answered(1_910);
  expect(silence.lags(pace, 1_911)).toBe(false);
});

test("a late answer to being asked changes nothing of one that does not lag any more", () => {
  const { silence, pace } = beside(100);
  silence.lags(pace, 600);
  silence.answered(700);
  silence.alive();
  silence.sent(800);
  pace.note(10, 900);
  expect(silence.lags(pace, 1_500)).toBe(true);
});

test("one that let its callers wait in vain lags although it has no calls any more, until there is news of it", () => {
  const { silence, pace } = beside(100);
  silence.unanswered(true);
  expect(silence.lags(pace, 700)).toBe(true);
  silence.forgive();
  expect(silence.lags(pace, 701)).toBe(false);
});

test("a call that ended without an answer for other reasons says nothing", () => {
  const { silence, pace } = beside(100);
  silence.unanswered(false);
  expect(silence.lags(pace, 10_000)).toBe(false);
});

test("whoever answers some of its calls does not lag because of one that takes long", () => {
  const { silence, pace } = beside(100);
  for (let now = 0; now < 10_000; now += 400) {
    silence.sent(now);
    silence.answered(now + 10);
    pace.note(10, now + 10);
  }
  pace.note(10, 10_000);
  expect(silence.lags(pace, 10_050)).toBe(false);
});

test("the provider is told of functions that do not answer, each for a while once and not of too many at a time", async () => {
  const silentMs = new Map<string, number>();
  const functions = Array.from({ length: 8 }, (_, i) => ({
    name: `fn-${i}`,
    namespace: "ns",
    silentMs: () => silentMs.get(`fn-${i}`) ?? 0,
  }));
  const told: string[] = [];
  const watch = new StalledReplicaWatch({
    functions: () => functions,
    expedite: async ({ name }) => void told.push(name),
    log: { debug() {} },
  });
  try {
    silentMs.set("fn-2", 1_900);
    watch.look(0);
    expect(told).toEqual([]);
    silentMs.set("fn-2", 2_100);
    for (let now = 1_000; now < 11_000; now += 1_000) watch.look(now);
    expect(told).toEqual(["fn-2"]);
    watch.look(11_000);
    expect(told).toEqual(["fn-2", "fn-2"]);
    told.length = 0;
    for (const { name } of functions) silentMs.set(name, 5_000);
    watch.look(12_000);
    expect(told).toHaveLength(5);
    watch.look(13_000);
    expect(new Set(told)).toEqual(new Set(functions.map(({ name }) => name).filter((name) => name !== "fn-2")));
  } finally {
    await watch.close();
  }
});
