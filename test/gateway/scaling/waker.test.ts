import { expect, test } from "@jest/globals";
import { FaasError } from "../../../contract/errors.ts";
import { type Sleeper, Waker } from "../../../gateway/scaling/waker.ts";
import { eventually } from "../../support/eventually.ts";

class FakeSleeper implements Sleeper {
  snapshot = { name: "f", namespace: "ns", labels: {}, annotations: {}, replicas: 0, generation: 1, endpoints: [] };
  readyReplicas = 0;
  failure: FaasError | undefined;
  readonly held = {
    count: 1,
    fail: (error: FaasError) => {
      this.failure = error;
      this.held.count = 0;
    },
  };

  become(replicas: number, ready: number): void {
    this.snapshot = { ...this.snapshot, replicas };
    this.readyReplicas = ready;
  }
}

function wakerOf(scale: (replicas: number) => Promise<void> = async () => {}) {
  const orders: number[] = [];
  const hurried: string[] = [];
  const waker = new Waker<FakeSleeper>({
    scale: async (_ref, replicas) => {
      orders.push(replicas);
      await scale(replicas);
    },
    hurry: async ({ name }) => void hurried.push(name),
    wanted: ({ held }) => Math.ceil(held.count / 10),
    log: { info() {}, warn() {} },
  });
  return { waker, orders, hurried };
}

test("calls that come together are counted together; more calls ask for more", async () => {
  const { waker, orders } = wakerOf();
  const sleeper = new FakeSleeper();
  waker.wake(sleeper);
  waker.wake(sleeper);
  sleeper.held.count = 25;
  await eventually("it asked", () => orders.length === 1);
  sleeper.held.count = 45;
  await eventually("it asked for more", () => orders.length === 2);
  expect(orders).toEqual([3, 5]);
  sleeper.held.count = 0;
});

test("who is sent to sleep while a call waits is woken again", async () => {
  const { waker, orders } = wakerOf();
  const sleeper = new FakeSleeper();
  sleeper.become(1, 0);
  waker.wake(sleeper);
  sleeper.become(0, 0);
  await eventually("it asked", () => orders.length === 1);
  sleeper.become(1, 1);
  sleeper.become(0, 0); // at once: nobody has looked between
  await eventually("it asked again", () => orders.length === 2, 10_000);
  sleeper.held.count = 0;
});

test("a provider that fails is asked again, one that refuses is not", async () => {
  let failure: FaasError | undefined = new FaasError("unavailable", "not now");
  const { waker, orders } = wakerOf(async () => {
    if (failure) throw failure;
  });
  const sleeper = new FakeSleeper();
  waker.wake(sleeper);
  await eventually("it asked twice", () => orders.length === 2);
  failure = new FaasError("invalid", "over the limit");
  await eventually("the calls failed", () => sleeper.failure === failure);
});

test("a provider whose replicas are still to start is told once that calls wait, not with each of them", async () => {
  const { waker, orders, hurried } = wakerOf();
  const sleeper = new FakeSleeper();
  sleeper.become(1, 0);
  for (let i = 0; i < 10; i++) waker.wake(sleeper);
  await eventually("it was told", () => hurried.length > 0);
  waker.wake(sleeper);
  await new Promise((resolve) => setTimeout(resolve, 250)); // some more looks
  sleeper.held.count = 0;
  expect([orders, hurried]).toEqual([[], ["f"]]);
});
