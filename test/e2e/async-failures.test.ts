import { expect, test } from "@jest/globals";
import { AsyncLoad } from "../support/async-load.ts";
import { AsyncStack, type AsyncStackOptions } from "../support/async-stack.ts";
import { type Fates, fatesOf, findExcess } from "../support/call-fates.ts";
import { type Deed, type Outage, wreakChaos } from "../support/chaos.ts";
import { eventually } from "../support/eventually.ts";
import { Ledger, ledgerHandler } from "../support/ledger.ts";
import { describeWithNats } from "../support/nats.ts";
import { seededRandom, seedOf } from "../support/seeded-random.ts";

/**
 * What the queue is for: once 202 is sent the call runs, whatever dies. Real processes are killed at random moments
 * while calls are taken and made; functions note each execution in a file.
 */

/** Every so many calls go to a function that always fails, so that dead letters are among the ends. */
const FAILS_EVERY = 20;
const BROKEN_ATTEMPTS = 2;
/** Calls under way at a time, over all workers: what one death can cut off. */
const CONCURRENCY = 64;
const ENDS_WITHIN_MS = 120_000;
const ACK_WAIT_MS = 2000;

const FUNCTIONS: AsyncStackOptions["functions"] = {
  ledger: { handler: ledgerHandler('return "done";'), replicas: 2 },
  broken: {
    handler: ledgerHandler('return context.status(500).succeed("broken");'),
    annotations: {
      "com.openfaas.retry.attempts": String(BROKEN_ATTEMPTS - 1),
      "com.openfaas.retry.min_wait": "50ms",
      "com.openfaas.retry.max_wait": "100ms",
    },
  },
};
const ENV = {
  async_function_concurrency: "16",
  initial_retry_wait: "50ms",
  max_retry_wait: "1s",
  ack_wait: `${ACK_WAIT_MS}ms`,
};

const isBroken = (call: number) => call % FAILS_EVERY === 0;

interface Story extends Omit<AsyncStackOptions, "functions"> {
  readonly calls: number;
  deeds(stack: AsyncStack, random: () => number): Deed[];
}

interface Ending {
  readonly fates: Fates;
  readonly outages: readonly Outage[];
  readonly ledger: Ledger;
  readonly load: AsyncLoad;
}

async function play(name: string, { calls, deeds, env, ...options }: Story): Promise<Ending> {
  const random = seededRandom(seedOf(name));
  const stack = await AsyncStack.start({ ...options, functions: FUNCTIONS, env: { ...ENV, ...env } });
  try {
    const ledger = new Ledger(stack.ledgerPath);
    const load = new AsyncLoad(stack.url, {
      calls,
      inFlight: 24,
      request: (call) => ({ path: `${isBroken(call) ? "broken" : "ledger"}?call=${call}` }),
    });
    const progress = async () => {
      await ledger.read();
      return (load.accepted.length + ledger.executions.size) / (2 * calls);
    };
    const outages = await wreakChaos({ deeds: deeds(stack, random), random, progress, deadlineMs: ENDS_WITHIN_MS });
    await load.ended;
    const isOver = async () => {
      const answer = await fetch(`${stack.url}/system/queue`);
      const text = await answer.text();
      const { waiting, inFlight } = JSON.parse(text) as { waiting: number; inFlight: number };
      if (answer.status === 200 && waiting + inFlight === 0) return true;
      throw new Error(`${answer.status} ${text}`);
    };
    await eventually("nothing waits and nothing runs", isOver, ENDS_WITHIN_MS, 100);
    const fates = await fatesOf(stack.url, load.accepted);
    await ledger.read();
    return { fates, outages, ledger, load };
  } catch (error) {
    process.stderr.write(stack.output());
    throw error;
  } finally {
    expect(await stack.remove()).toEqual([]);
  }
}

/** What is promised, whatever died. */
function expectEveryCallEnded({ fates, ledger, load, outages }: Ending): void {
  const executions = ({ call }: { call: number }) => ledger.executions.get(call) ?? [];
  // Each of the few attempts of a broken one may have been cut off before the function saw it; it is dead then.
  const isDead = ({ id }: { id: string }) => fates.states.get(id) === "dead";
  const neverRun = load.accepted.filter((accepted) => executions(accepted).length === 0 && !isDead(accepted));
  expect(neverRun.map(({ call, id }) => [call, fates.states.get(id), fates.deadLetters.get(id)])).toEqual([]);
  expect(load.accepted.filter(({ id }) => !["done", "dead"].includes(fates.states.get(id) as string))).toEqual([]);
  // Exactly once: a call is either done or among the dead letters, where it is once.
  const dead = load.accepted.filter(isDead);
  expect(dead.filter(({ id }) => fates.deadLetters.get(id)?.length !== 1)).toEqual([]);
  const done = load.accepted.filter(({ id }) => fates.states.get(id) === "done");
  expect(done.filter(({ id }) => fates.deadLetters.has(id))).toEqual([]);
  expect(done.filter(({ call }) => isBroken(call))).toEqual([]);
  expect(dead.filter(({ call }) => !isBroken(call))).toEqual([]);

  // A second execution needs a reason: a call that was under way, or just over, when something died.
  const excess = findExcess(ledger, load, outages, (call) => (isBroken(call) ? BROKEN_ATTEMPTS : 1));
  process.stderr.write(
    `${load.accepted.length} accepted, ${done.length} done, ${dead.length} dead, ${load.unsure.size} refused or cut off ` +
      `${JSON.stringify([...load.refusals])}, ${outages.length} deaths ${JSON.stringify(outages.map(({ name }) => name))}, ` +
      `${excess.total} executions too many, ${excess.unexplained.length} of them without a reason\n`,
  );
  if (excess.unexplained.length > 0) process.stderr.write(`deaths: ${JSON.stringify(outages)}\n`);
  expect(excess.unexplained).toEqual([]);
  expect(excess.total).toBeLessThanOrEqual(outages.length * CONCURRENCY);
}

const killGateway = (stack: AsyncStack): Deed => ({
  name: "gateway",
  run: async () => {
    await stack.gateway.kill();
    await stack.startGateway();
  },
});

const killReplica = (stack: AsyncStack, random: () => number): Deed => ({
  name: "replica",
  run: async () => {
    const pids = await eventually("there is a replica", async () => {
      const found = await stack.replicas();
      return found.length > 0 && found;
    });
    process.kill(pids[Math.floor(random() * pids.length)] as number, "SIGKILL");
  },
});

const killWorker = (stack: AsyncStack, random: () => number): Deed => ({
  name: "worker",
  run: async () => {
    const place = Math.floor(random() * stack.workers.length);
    await stack.workers[place]?.kill();
    await stack.startWorker(place);
  },
});

const killNats = (stack: AsyncStack, random: () => number): Deed => ({
  name: "nats-server",
  run: async () => {
    const server = stack.nats[Math.floor(random() * stack.nats.length)];
    await server?.kill();
    await server?.restart();
  },
  // It may have forgotten whom it gave calls to last, and gives them to another worker while they begin at the first.
  aftermathMs: ACK_WAIT_MS,
});

test("embedded: gateway and replicas killed while 10,000 calls are taken and made", async () => {
  const ending = await play("embedded queue", {
    queue: "embedded",
    calls: 10_000,
    env: { async_concurrency: String(CONCURRENCY) },
    deeds: (stack, random) => [
      killGateway(stack),
      killGateway(stack),
      killGateway(stack),
      killReplica(stack, random),
      killReplica(stack, random),
    ],
  });
  expectEveryCallEnded(ending);
}, 300_000);

describeWithNats("jetstream", () => {
  test("gateway, workers, replicas and nats-server killed while 10,000 calls are taken and made", async () => {
    const ending = await play("JetStream queue", {
      queue: "jetstream",
      calls: 10_000,
      workers: 2,
      env: { async_concurrency: String(CONCURRENCY / 2) },
      deeds: (stack, random) => [
        killGateway(stack),
        killGateway(stack),
        killWorker(stack, random),
        killWorker(stack, random),
        killReplica(stack, random),
        killReplica(stack, random),
        killNats(stack, random),
        killNats(stack, random),
      ],
    });
    expectEveryCallEnded(ending);
  }, 300_000);

  test("one node of three killed under load: no accepted call is lost", async () => {
    const ending = await play("JetStream cluster", {
      queue: "jetstream",
      servers: 3,
      calls: 2000,
      env: { async_concurrency: String(CONCURRENCY) },
      deeds: (stack, random) => [killNats(stack, random)],
    });
    expectEveryCallEnded(ending);
  }, 300_000);
});
