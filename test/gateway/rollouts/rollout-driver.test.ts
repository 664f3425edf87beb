import { expect, test } from "@jest/globals";
import { FaasError } from "../../../contract/errors.ts";
import { RolloutClock } from "../../../gateway/rollouts/rollout-clock.ts";
import { REF, RolloutWorld, rolloutOf } from "./rollout-world.ts";

const STEPS = { steps: "5@10s,25@10s,50@10s,100", gate: "errors<1%", "no-data": "advance" };

test("a rollout goes through its steps, with a line for each change of traffic that says why", async () => {
  const world = new RolloutWorld(rolloutOf(STEPS));
  const gateway = world.addGateway(true);
  await world.pass(40);
  expect(world.course).toEqual(["step 0", "step 1", "step 2", "done 3"]);
  expect(gateway.lines.map(({ share, phase, reason }) => [share, phase, reason])).toEqual([
    ["5%", "step", "v2 has 1 ready replica"],
    ["25%", "step", "its time is over; 0 of at least 50 calls"],
    ["50%", "step", "its time is over; 0 of at least 50 calls"],
    ["100%", "done", "its time is over; 0 of at least 50 calls"],
  ]);
  expect(gateway.lines[0]).toMatchObject({ function: "shop", namespace: "fn", from: "v1", to: "v2", rollout: 1 });
  expect([...gateway.driver.ends]).toEqual([["done", 1]]);
});

test("a version that nobody calls yet is started for its first share, and asked for again when it was not", async () => {
  const world = new RolloutWorld(rolloutOf({ ...STEPS, warm: "2" }));
  world.ready = 0;
  world.addGateway(true);
  await world.pass(3);
  expect(world.raised).toEqual([[{ name: "shop@v2", namespace: "fn" }, 2]]);
  await world.pass(4);
  expect(world.raised).toHaveLength(2);
  expect(world.writes).toEqual([]);
  world.ready = 2;
  for (const each of world.gateways) world.stream(each);
  await world.pass(1);
  expect(world.course).toEqual(["step 0"]);
});

test("a version that cannot start never gets a call", async () => {
  const world = new RolloutWorld(rolloutOf(STEPS));
  [world.ready, world.problem] = [0, "exit code 1"];
  world.addGateway(true);
  await world.pass(2);
  expect(world.course).toEqual(["aborted 0"]);
  expect(world.listed.rollout?.reason).toBe("v2 cannot start: exit code 1");
});

test("errors that no gateway could be sure of alone end it, added up over all", async () => {
  const world = new RolloutWorld(rolloutOf({ steps: "5@1m,100", gate: "errors<1%", "min-requests": "40" }));
  const [a, b] = [world.addGateway(true), world.addGateway(false)];
  await world.pass(10, () => {
    for (const each of [a, b]) {
      world.call(each, "v2", 200, 2);
      world.call(each, "v2", 500, 1);
      world.call(each, "v1", 200, 50);
    }
  });
  await world.pass(5);
  expect(world.course).toEqual(["step 0", "aborted 0"]);
  expect(world.listed.rollout?.reason).toMatch(/^errors are 33.33% of/);
  expect(world.listed.rollout?.measurements.at(-1)).toMatchObject({ verdict: "bad", step: 0 });
  expect(b.driver.ends.size).toBe(0);
});

test("each step is judged by its own calls", async () => {
  const world = new RolloutWorld(rolloutOf({ ...STEPS, "min-requests": "10" }));
  const gateway = world.addGateway(true);
  await world.pass(2);
  world.call(gateway, "v2", 500, 9);
  await world.pass(9);
  expect(world.course).toEqual(["step 0", "step 1"]);
  world.call(gateway, "v2", 500, 1);
  await world.pass(2);
  expect(world.course).toEqual(["step 0", "step 1"]);
});

test("another gateway goes on in the same step, with the time that has passed in it", async () => {
  const world = new RolloutWorld(rolloutOf(STEPS));
  const leader = world.addGateway(true);
  await world.pass(17);
  expect(world.course).toEqual(["step 0", "step 1"]);
  leader.leads = false;
  world.gateways.splice(0);
  await world.pass(2);
  world.addGateway(true);
  await world.pass(1);
  expect(world.course).toEqual(["step 0", "step 1"]);
  await world.pass(2);
  expect(world.course).toEqual(["step 0", "step 1", "step 2"]);
});

test("of two gateways that both lead only one moves it, and no step is passed twice", async () => {
  const world = new RolloutWorld(rolloutOf(STEPS));
  world.addGateway(true);
  world.addGateway(true);
  await world.pass(40);
  expect(world.course).toEqual(["step 0", "step 1", "step 2", "done 3"]);
  expect(world.gateways.flatMap(({ lines }) => lines)).toHaveLength(4);
  expect(world.conflicts).toBeGreaterThan(0);
});

test("what a person or a newer deploy has written meanwhile is taken as it is", async () => {
  const world = new RolloutWorld(rolloutOf(STEPS));
  const gateway = world.addGateway(true);
  await world.pass(5);
  const { rollout } = world.listed;
  // The stream is behind: only the provider knows.
  world.listed = { generation: 9, rollout: { ...rolloutOf(STEPS), ...rollout, phase: "aborted", reason: "by hand" } };
  await world.pass(20);
  expect(world.listed).toMatchObject({ generation: 9, rollout: { reason: "by hand" } });
  world.set({ ...rolloutOf(STEPS, { id: 2, to: "v2", startedAt: 25_000, since: 25_000 }) });
  await world.pass(2);
  expect(world.listed.rollout).toMatchObject({ id: 2, phase: "step", step: 0 });
  expect(gateway.lines.at(-1)).toMatchObject({ rollout: 2 });
});

test("a hook is asked before each step and before the end, and holds it until it says yes", async () => {
  const world = new RolloutWorld(rolloutOf({ ...STEPS, hook: "judge" }));
  world.addGateway(true);
  await world.pass(3);
  expect(world.asked).toEqual([{ function: "shop", namespace: "fn", version: "v2", phase: "step", step: 0 }]);
  expect(world.course).toEqual(["step 0"]);
  world.answer = () => "status 403";
  await world.pass(20);
  expect(world.course).toEqual(["step 0", "holding 0"]);
  expect(world.listed.rollout?.reason).toBe("the hook holds it: status 403");
  const questions = world.asked.length;
  expect(questions).toBeGreaterThan(2);
  expect(questions).toBeLessThan(6);
  world.answer = () => undefined;
  await world.pass(60);
  expect(world.course).toEqual(["step 0", "holding 0", "step 1", "step 2", "done 3"]);
  expect(world.asked.at(-1)).toMatchObject({ phase: "done", step: 3 });
});

test("a hook that never answers holds nothing up that has to be ended", async () => {
  const world = new RolloutWorld(rolloutOf({ ...STEPS, hook: "judge", max: "1m" }));
  world.addGateway(true, { ask: () => new Promise(() => {}) });
  await world.pass(59);
  expect(world.course).toEqual([]);
  await world.pass(1);
  expect(world.course).toEqual(["aborted 0"]);
});

test("Prometheus is asked in every step, and ends a rollout by what it says", async () => {
  const query = 'sum(orders_failed{version="$version", function="$function.$namespace"}) < 0.5';
  const world = new RolloutWorld(rolloutOf({ steps: "5@20s,25@20s,100", query, "min-requests": "0" }));
  world.addGateway(true);
  await world.pass(22);
  expect(world.course).toEqual(["step 0", "step 1"]);
  expect(new Set(world.queries)).toEqual(new Set(['sum(orders_failed{version="v2", function="shop.fn"})']));
  expect(world.queries.length).toBeLessThan(8);
  world.value = () => 0.5;
  await world.pass(15);
  expect(world.course).toEqual(["step 0", "step 1", "aborted 1"]);
  expect(world.listed.rollout?.reason).toBe("the query's value is 0.5, the limit 0.5");
});

test("a Prometheus that says nothing ends nothing, and holds before all calls", async () => {
  const world = new RolloutWorld(rolloutOf({ steps: "5@5s,25@5s,100", query: "up < 1", "min-requests": "50" }));
  world.value = () => {
    throw new Error("the query has no value now");
  };
  const gateway = world.addGateway(true);
  await world.pass(60, () => world.call(gateway, "v2", 200, 200));
  expect(world.course).toEqual(["step 0", "step 1", "holding 1"]);
  expect(world.listed.rollout?.reason).toBe("query: the query has no value now");
});

test("a provider that is away is asked again, and it is said once", async () => {
  const world = new RolloutWorld(rolloutOf(STEPS));
  let away = true;
  const read = async () => {
    if (away) throw new FaasError("upstream", "away");
    return structuredClone(world.listed);
  };
  const write = async (_ref: unknown, next: typeof world.listed) => world.set(next.rollout as never);
  const gateway = world.addGateway(true, { store: { read, write } });
  await world.pass(5);
  expect(gateway.lines).toHaveLength(1);
  away = false;
  await world.pass(1);
  expect(world.listed.rollout?.phase).toBe("step");
});

test("one that does not lead writes nothing and asks for nothing", async () => {
  const world = new RolloutWorld(rolloutOf({ ...STEPS, hook: "judge" }));
  world.ready = 0;
  world.addGateway(false);
  await world.pass(700);
  expect([world.writes, world.raised, world.asked]).toEqual([[], [], []]);
});

test.each([86_400, -86_400])("a clock that is set by %d seconds in the middle moves no step", async (seconds) => {
  const world = new RolloutWorld(rolloutOf({ ...STEPS, max: "1h" }));
  world.addGateway(true);
  await world.pass(5);
  world.wallAhead = seconds;
  await world.pass(5);
  expect(world.course).toEqual(["step 0"]);
  await world.pass(1);
  expect(world.course).toEqual(["step 0", "step 1"]);
  await world.pass(9);
  expect(world.course).toEqual(["step 0", "step 1"]);
  await world.pass(20);
  expect(world.course).toEqual(["step 0", "step 1", "step 2", "done 3"]);
});

test("what began in the future has just begun", () => {
  const clock = new RolloutClock(
    () => 1_000,
    () => 50,
  );
  const state = rolloutOf(STEPS, { since: 9_000, startedAt: 9_000 });
  expect(clock.read(state)).toMatchObject({ inPhaseMs: 0, inAllMs: 0, sinceMeasuredMs: Number.POSITIVE_INFINITY });
});

test("calls are counted from the first step to the end, and never before or after", async () => {
  const world = new RolloutWorld(rolloutOf(STEPS));
  const { table } = world.addGateway(true);
  const trials = () => ["shop.fn", "shop@v2.fn"].map((name) => table.find(name)?.meter.trial?.key);
  expect(trials()).toEqual([undefined, undefined]);
  await world.pass(1);
  expect(trials()).toEqual(["0/1/0", "0/1/0"]);
  await world.pass(10);
  expect(trials()).toEqual(["0/1/1", "0/1/1"]);
  await world.pass(60);
  expect(trials()).toEqual([undefined, undefined]);
  world.set(rolloutOf(STEPS, { id: 2, phase: "step" }));
  expect(trials()).toEqual(["0/2/0", "0/2/0"]);
  table.remove(REF.name);
  expect(trials()).toEqual([undefined, undefined]);
});
