import { afterEach, beforeEach, expect, test } from "@jest/globals";
import {
  call,
  deployment,
  ECHO,
  endpointsOf,
  type LocalFixture,
  openFixture,
  ref,
  until,
  untilReady,
} from "./support.ts";

let fixture: LocalFixture;
beforeEach(async () => {
  fixture = await openFixture();
  await fixture.addImage("echo", ECHO);
});
afterEach(() => fixture.close());

const counts = () =>
  Object.fromEntries([...(fixture.backend.coldStarts?.phases() ?? [])].map(({ phase, tally }) => [phase, tally.count]));
const functions = () => [...(fixture.backend.coldStarts?.functions() ?? [])].map(({ phase, count }) => [phase, count]);

test("gateways are told how a replica came up, and it is counted once", async () => {
  const { backend } = fixture;
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "fn");
  const [endpoint] = (await endpointsOf(backend, "fn"))?.endpoints ?? [];
  const { startup = {} } = endpoint ?? {};
  expect(Object.keys(startup)).toEqual(["scheduled", "sandbox", "started", "listening", "offered"]);
  const times = Object.values(startup) as number[];
  expect([...times].sort((a, b) => a - b)).toEqual(times);
  const once = { scheduled: 1, sandbox: 1, started: 1, listening: 1, offered: 1 };
  expect(counts()).toEqual(once);
  expect(functions()).toEqual([
    ["started", 1],
    ["listening", 1],
    ["offered", 1],
  ]);

  // A process that is started again is no cold start.
  await call(endpoint?.address ?? "", "/exit?code=1").catch(() => undefined);
  await until("it is up again", async () => {
    const again = (await endpointsOf(backend, "fn"))?.endpoints[0];
    return again?.state === "ready" && again.address !== endpoint?.address;
  });
  expect((await endpointsOf(backend, "fn"))?.endpoints[0]?.startup).toBeUndefined();
  expect(counts()).toEqual(once);

  await backend.functions.remove(ref("fn"));
  expect(functions()).toEqual([]);
});
