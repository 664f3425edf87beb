import { describe, expect, test } from "@jest/globals";
import type { V1Pod } from "@kubernetes/client-node";
import { Announcements, type HeardAnnouncement } from "../../../provider/backends/kubernetes/cache/announcements.ts";
import { Startups } from "../../../provider/backends/kubernetes/cache/startups.ts";
import { decidePhaseTime, readPhases } from "../../../provider/backends/kubernetes/resources/phases.ts";

const SECOND = Date.parse("2026-01-01T00:00:10Z");

const heard = (owner: string, heardAt: number, address = "10.0.0.1"): HeardAnnouncement => ({
  owner,
  address,
  startedAt: heardAt - 40,
  listeningAt: heardAt - 5,
  heardAt,
});

describe("the time of a phase, of which the API tells the second", () => {
  test.each<[rule: string, seen: number, bounds: { after?: number; before?: number }, expected: number]>([
    ["is when it was seen, if that was at once", SECOND + 300, {}, SECOND + 300],
    ["is no later than its second", SECOND + 5_000, {}, SECOND + 999],
    ["is no earlier than what came before", SECOND + 5_000, { after: SECOND + 1_200 }, SECOND + 1_200],
    ["is no later than what came after", SECOND + 800, { before: SECOND + 450 }, SECOND + 450],
    ["is when it was seen, if the other clock is ahead", SECOND - 3_000, {}, SECOND - 3_000],
  ])("%s", (_rule, seen, bounds, expected) => {
    expect(decidePhaseTime(SECOND, seen, bounds)).toBe(expected);
  });

  test("is not told by conditions that do not hold, nor by containers that wait", () => {
    const status = {
      conditions: [{ type: "Ready", status: "False", lastTransitionTime: new Date(SECOND) }],
      containerStatuses: [{ name: "f", ready: false, restartCount: 0, image: "", imageID: "", state: { waiting: {} } }],
    };
    expect(readPhases({ metadata: {}, status })).toEqual({});
  });
});

describe("announcements of pods that are not known yet", () => {
  test("are for the function that they were for, and taken once", () => {
    const held = new Announcements();
    held.hold("p", heard("f", 0));
    expect(held.take("p", "g", 1)).toBeUndefined();
    held.hold("p", heard("f", 0));
    held.hold("p", heard("f", 1, "10.0.0.2"));
    expect(held.take("p", "f", 2)?.address).toBe("10.0.0.2");
    expect(held.take("p", "f", 2)).toBeUndefined();
  });

  test("are forgotten after 10 s", () => {
    const held = new Announcements();
    held.hold("p", heard("f", 0));
    held.hold("q", heard("f", 1));
    expect(held.take("p", "f", 10_000)).toBeUndefined();
    expect(held.take("q", "f", 10_000)).toBeDefined();
    expect(held.size).toBe(0);
  });

  test("are bounded, for each function and in all", () => {
    const held = new Announcements();
    for (let pod = 0; pod < 150; pod += 1) held.hold(`f-${pod}`, heard("f", 0));
    expect(held.size).toBe(100);
    held.hold("g-1", heard("g", 0));
    expect(held.take("g-1", "g", 0)).toBeDefined();
    for (let pod = 0; pod < 2_000; pod += 1) held.hold(`p-${pod}`, heard(`o-${pod}`, 0));
    expect(held.size).toBe(1_000);
    // What has run out makes room.
    held.hold("late", heard("f", 10_000));
    expect(held.size).toBe(1);
  });
});

describe("the phases of a pod", () => {
  const at = (ms: number) => new Date(SECOND + ms - (ms % 1_000));
  const condition = (type: string, ms: number) => ({ type, status: "True", lastTransitionTime: at(ms) });
  const pod = (status: V1Pod["status"], metadata: V1Pod["metadata"] = {}): V1Pod => ({
    metadata: { name: "p", creationTimestamp: at(0), ...metadata },
    status: { phase: "Pending", ...status },
  });
  const container = (restartCount: number, startedMs: number) => ({
    name: "f",
    image: "",
    imageID: "",
    ready: false,
    restartCount,
    state: { running: { startedAt: at(startedMs) } },
  });
  const scheduled = condition("PodScheduled", 3);

  function open() {
    let now = SECOND;
    const counted: [phase: string, ms: number][] = [];
    const startups = new Startups({ now: () => now, count: (_owner, phase, ms) => counted.push([phase, ms]) });
    return {
      startups,
      counted,
      see: (ms: number, status: V1Pod["status"], isNew = false) => {
        now = SECOND + ms;
        startups.see("p", "f", pod(status), isNew);
      },
      at: (ms: number) => {
        now = SECOND + ms;
        return now;
      },
    };
  }

  test("come from the API, the pod itself and our own clock, and are counted once it is offered", () => {
    const { startups, counted, see, at: clock } = open();
    see(1, {}, true);
    see(4, { conditions: [scheduled] });
    startups.announced("p", heard("f", clock(470)));
    expect(counted).toEqual([]);
    expect(startups.told("p")).toBeUndefined();
    clock(472);
    startups.offer("p");
    const told = { scheduled: 3, started: 429, listening: 464, announced: 469, offered: 471 };
    expect(startups.told("p")).toEqual(told);
    expect(Object.fromEntries(counted)).toEqual(told);
    // The API tells of the sandbox late; it was there before the process.
    const running = { podIP: "10.0.0.1", containerStatuses: [container(0, 440)] };
    see(840, { ...running, conditions: [scheduled, condition("PodReadyToStartContainers", 400)] });
    see(1_800, {
      ...running,
      conditions: [scheduled, condition("PodReadyToStartContainers", 400), condition("Ready", 1_800)],
    });
    expect(Object.fromEntries(counted)).toEqual({ ...told, sandbox: 429, ready: 1_799 });
    expect(counted).toHaveLength(7);
    expect(startups.told("p")).toEqual(told);
    clock(60_000);
    expect(startups.told("p")).toBeUndefined();
  });

  test("are in order, however late the API tells of what the pod has told of itself", () => {
    const { startups, counted, see, at: clock } = open();
    see(1, {}, true);
    // Told late: to the end of the second for all that anybody knows.
    see(4, { conditions: [scheduled] });
    see(630, { conditions: [scheduled, condition("PodReadyToStartContainers", 400)] });
    startups.announced("p", heard("f", clock(640)));
    clock(650);
    startups.offer("p");
    const told = startups.told("p") ?? {};
    expect(Object.keys(told)).toEqual(["scheduled", "sandbox", "started", "listening", "announced", "offered"]);
    expect(Object.values(told)).toEqual(Object.values(told).toSorted((a, b) => Number(a) - Number(b)));
    expect(told.sandbox).toBe(told.started);
    expect(Object.fromEntries(counted)).toEqual(told);
  });

  test("without an announcement are those of the API, as closely as it tells", () => {
    const { startups, counted, see } = open();
    see(1, { conditions: [scheduled] }, true);
    see(840, {
      podIP: "10.0.0.1",
      containerStatuses: [container(0, 440)],
      conditions: [scheduled, condition("PodReadyToStartContainers", 400)],
    });
    startups.offer("p");
    expect(Object.fromEntries(counted)).toEqual({ scheduled: 0, sandbox: 839, started: 839, offered: 839 });
  });

  test("of a pod that was up before, has crashed on its way, or goes, are not counted", () => {
    const cases: readonly (readonly [V1Pod["status"], V1Pod["status"]])[] = [
      [{ conditions: [scheduled, condition("Ready", 0)] }, {}],
      [{ conditions: [scheduled] }, { containerStatuses: [container(1, 400)] }],
    ];
    for (const [first, then] of cases) {
      const { startups, counted, see } = open();
      see(1, first, true);
      see(500, then);
      startups.announced("p", heard("f", SECOND + 501));
      startups.offer("p");
      expect(counted).toEqual([]);
      expect(startups.told("p")).toBeUndefined();
    }
  });
});
