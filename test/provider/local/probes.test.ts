import { afterEach, expect, test } from "@jest/globals";
import type { LocalBackendOptions } from "../../../provider/backends/local/local-backend.ts";
import { judge, NO_ANSWERS } from "../../../provider/backends/local/probes/judge.ts";
import { isHung, type Vitals } from "../../../provider/backends/local/probes/vitals.ts";
import {
  call,
  deployment,
  ECHO,
  echo,
  endpointsOf,
  inProcess,
  isAlive,
  type LocalFixture,
  openFixture,
  readyAddresses,
  statusOf,
  until,
  untilReady,
} from "./support.ts";

let fixture: LocalFixture | undefined;
afterEach(async () => {
  await fixture?.close();
  fixture = undefined;
});

const probe = {
  initialDelaySeconds: 0,
  periodSeconds: 0.1,
  timeoutSeconds: 0.3,
  successThreshold: 1,
  failureThreshold: 2,
};
const often = { liveness: { ...probe, failureThreshold: 5 }, readiness: probe };
const open = async (options: Partial<LocalBackendOptions> = {}) => {
  fixture = await openFixture({ probes: often, ...options });
  await fixture.addImage("echo", ECHO);
  return fixture;
};

test.each<[rule: string, answers: string, verdicts: string]>([
  ["one success is enough", "+", "u"],
  ["a failure is none", "+-+-+", "u.u.u"],
  ["some in a row are", "+---+", "u..du"],
  ["it goes on being said", "-----", "..ddd"],
  ["a success in between starts the count anew", "--+--+", "..u..u"],
])("probes: %s", (_rule, answers, verdicts) => {
  let streak = NO_ANSWERS;
  const said = [...answers].map((answer) => {
    const judged = judge(streak, answer === "+", { successThreshold: 1, failureThreshold: 3 });
    streak = judged.streak;
    return judged.verdict === undefined ? "." : judged.verdict[0];
  });
  expect(said.join("")).toBe(verdicts);
});

test("probes: several successes may be asked for", () => {
  let streak = NO_ANSWERS;
  const said = [true, true, false, true, true, true].map((passed) => {
    const judged = judge(streak, passed, { successThreshold: 3, failureThreshold: 1 });
    streak = judged.streak;
    return judged.verdict;
  });
  expect(said).toEqual([undefined, undefined, "down", undefined, undefined, "up"]);
});

const idle: Vitals = { stopped: false, running: false, cpuTicks: 100 };
test.each<[what: string, before: Vitals | undefined, now: Vitals | undefined, silentMs: number, hung: boolean]>([
  ["is stopped", idle, { ...idle, stopped: true, cpuTicks: 200 }, 100, true],
  ["waits and does nothing", idle, idle, 100, true],
  ["has worked since", idle, { ...idle, cpuTicks: 101 }, 100, false],
  ["waits for a processor", idle, { ...idle, running: true }, 100, false],
  ["cannot be looked at", undefined, undefined, 100, false],
  ["has worked for longer than any call may", idle, { ...idle, cpuTicks: 999 }, 1_000, true],
  ["cannot be looked at and has been silent for longer than that", undefined, undefined, 1_000, true],
])("a process that does not answer and %s", (_what, before, now, silentMs, hung) => {
  expect(isHung(before, now, silentMs, 1_000)).toBe(hung);
});

test("a stopped replica gets no calls, and is started again", async () => {
  const { backend, logged } = await open();
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "fn");
  const { pid } = await echo(backend, "fn");
  process.kill(pid, "SIGSTOP");
  await until("it is not offered", async () => (await endpointsOf(backend, "fn")).endpoints[0]?.state === "starting");
  const next = await until("another process serves", async () => {
    const [address] = await readyAddresses(backend, "fn");
    return address !== undefined && (JSON.parse((await call(address)).body) as { pid: number }).pid;
  });
  expect([next === pid, isAlive(pid)]).toEqual([false, false]);
  expect(logged.join("\n")).toMatch(/"kind":"hung"/);
  expect(await statusOf(backend, "fn")).not.toHaveProperty("problem");
});

test("one that is asked seldom is asked at once when calls wait for its answers", async () => {
  const seldom = { ...probe, periodSeconds: 0.1, initialDelaySeconds: 0 };
  const { backend } = await open({ probes: { liveness: { ...seldom, failureThreshold: 1_000 }, readiness: seldom } });
  // So many that each has its turn only every few seconds.
  for (let i = 0; i < 20; i++) await backend.functions.create(deployment(`fn-${i}`, "echo"));
  for (let i = 0; i < 20; i++) await untilReady(backend, `fn-${i}`);
  const { pid } = await echo(backend, "fn-7");
  process.kill(pid, "SIGSTOP");
  const noticed = async () => (await endpointsOf(backend, "fn-7")).endpoints[0]?.state === "starting";
  const startedAt = performance.now();
  await until("it is noticed", () => {
    backend.functions.expedite?.({ name: "fn-7", namespace: "openfaas-fn" });
    return noticed();
  });
  // Two questions, a tenth of a second apart, each with its time to answer; left alone, four seconds may pass before one.
  expect(performance.now() - startedAt).toBeLessThan(3_000);
  process.kill(pid, "SIGCONT");
});

test("one that goes on before it is given up gets calls again", async () => {
  const { backend } = await open({ probes: { ...often, liveness: { ...probe, failureThreshold: 1_000 } } });
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "fn");
  const { pid } = await echo(backend, "fn");
  process.kill(pid, "SIGSTOP");
  await untilReady(backend, "fn", 0);
  expect((await statusOf(backend, "fn")).problem).toBe("GET /_/health is not answered");
  process.kill(pid, "SIGCONT");
  await untilReady(backend, "fn");
  expect((await echo(backend, "fn")).pid).toBe(pid);
});

test("a handler that computes is left alone, for as long as a call may last", async () => {
  const { backend } = await open();
  await fixture?.addImage(
    "busy",
    inProcess(`
      export default (req, res) => {
        const end = Date.now() + Number(new URL(req.url, "http://x").searchParams.get("ms"));
        while (Date.now() < end);
        res.end(String(process.pid));
      };
    `),
  );
  await backend.functions.create(deployment("patient", "busy"));
  await backend.functions.create(
    deployment("bounded", "busy", { envVars: { exec_timeout: "1s", write_timeout: "1s" } }),
  );
  await untilReady(backend, "patient");
  await untilReady(backend, "bounded");
  const [patient = ""] = await readyAddresses(backend, "patient");
  const [bounded = ""] = await readyAddresses(backend, "bounded");
  const before = (await call(bounded, "/?ms=0")).body;
  const endless = call(bounded, "/?ms=600000").catch(() => "cut");
  // Five probes a tenth of a second apart, each with its time to answer, have failed long before.
  const { body: pid } = await call(patient, "/?ms=3000");
  expect((await call(patient, "/?ms=0")).body).toBe(pid);
  expect(await endless).toBe("cut");
  await until("another process serves", async () => {
    const [address] = await readyAddresses(backend, "bounded");
    return address !== undefined && (await call(address, "/?ms=0")).body !== before;
  });
});

test("a function with a path of its own is offered when that says so, and no longer when it does not", async () => {
  const { backend } = await open();
  await fixture?.addImage(
    "moody",
    inProcess(`
      let ready = false;
      setTimeout(() => { ready = true; }, 700);
      export default (req, res) => {
        if (req.url === "/off") ready = false;
        res.writeHead(req.url === "/ready" && !ready ? 503 : 200).end(String(process.pid));
      };
    `),
  );
  const annotations = { "com.openfaas.ready.http.path": "/ready" };
  await backend.functions.create(deployment("moody", "moody", { annotations }));
  await until("it says what it waits for", async () =>
    (await statusOf(backend, "moody")).problem?.includes("GET /ready is answered with 503"),
  );
  await untilReady(backend, "moody");
  const [address = ""] = await readyAddresses(backend, "moody");
  const { body: pid } = await call(address, "/off");
  await untilReady(backend, "moody", 0);
  // It lives, and says so.
  expect((await call(address)).body).toBe(pid);
});

test("a health path that fails has its replica started again", async () => {
  const { backend } = await open();
  await fixture?.addImage(
    "ill",
    inProcess(`
      let ill = false;
      export default (req, res) => {
        if (req.url === "/sicken") ill = true;
        res.writeHead(req.url === "/health" && ill ? 500 : 200).end(String(process.pid));
      };
    `),
  );
  await backend.functions.create(
    deployment("ill", "ill", { annotations: { "com.openfaas.health.http.path": "/health" } }),
  );
  await untilReady(backend, "ill");
  const [address = ""] = await readyAddresses(backend, "ill");
  const { body: pid } = await call(address, "/sicken");
  await until("another process serves", async () => {
    const [now] = await readyAddresses(backend, "ill");
    return now !== undefined && (await call(now).catch(() => ({ body: pid }))).body !== pid;
  });
});

test("an initial delay is kept before the first offer", async () => {
  const { backend } = await open({ probes: { ...often, readiness: { ...probe, initialDelaySeconds: 1 } } });
  const startedAt = performance.now();
  await backend.functions.create(deployment("fn", "echo"));
  await untilReady(backend, "fn");
  expect(performance.now() - startedAt).toBeGreaterThan(1_000);
});

test("annotations that cannot be followed are refused", async () => {
  const { backend } = await open();
  const annotations = { "com.openfaas.health.http.path": "health", "com.openfaas.ready.http.periodSeconds": "0" };
  await expect(backend.functions.create(deployment("fn", "echo", { annotations }))).rejects.toMatchObject({
    kind: "invalid",
    message: expect.stringMatching(/health\.http\.path.*not a path.*; ?.*ready\.http\.periodSeconds.*at least 1/s),
  });
});
