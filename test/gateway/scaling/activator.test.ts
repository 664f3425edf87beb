import { expect, test } from "@jest/globals";
import { FaasError } from "../../../contract/errors.ts";
import { Activator, type ScaledToZero } from "../../../gateway/scaling/activator.ts";
import { eventually } from "../../support/eventually.ts";

class FakeSleeper implements ScaledToZero {
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
  const activator = new Activator<FakeSleeper>({
    scale: async (_ref, replicas) => {
      orders.push(replicas);
      await scale(replicas);
    },
    expedite: async ({ name }) => void hurried.push(name),
    wanted: ({ held }) => Math.ceil(held.count / 10),
    log: { info() {}, warn() {} },
  });
  return { activator, orders, hurried };
}

test("calls that come together are counted together; more calls ask for more", async () => {
  const { activator, orders } = wakerOf();
  const fn = new FakeSleeper();
  activator.wake(fn);
  activator.wake(fn);
  fn.held.count = 25;
  await eventually("it asked", () => orders.length === 1);
  fn.held.count = 45;
  await eventually("it asked for more", () => orders.length === 2);
  expect(orders).toEqual([3, 5]);
  fn.held.count = 0;
});

test("who is sent to sleep while a call waits is woken again", async () => {
  const { activator, orders } = wakerOf();
  const fn = new FakeSleeper();
  fn.become(1, 0);
  activator.wake(fn);
  fn.become(0, 0);
  await eventually("it asked", () => orders.length === 1);
  fn.become(1, 1);
  fn.become(0, 0); // at once: nobody has looked between
  await eventually("it asked again", () => orders.length === 2, 10_000);
  fn.held.count = 0;
});

test("a provider that fails is asked again, one that refuses is not", async () => {
  let failure: FaasError | undefined = new FaasError("unavailable", "not now");
  const { activator, orders } = wakerOf(async () => {
    if (failure) throw failure;
  });
  const fn = new FakeSleeper();
  activator.wake(fn);
  await eventually("it asked twice", () => orders.length === 2);
  failure = new FaasError("invalid", "over the limit");
  await eventually("the calls failed", () => fn.failure === failure);
});

test("a provider whose replicas are still to start is told once that calls wait, not with each of them", async () => {
  const { activator, orders, hurried } = wakerOf();
  const fn = new FakeSleeper();
  fn.become(1, 0);
  for (let i = 0; i < 10; i++) activator.wake(fn);
  await eventually("it was told", () => hurried.length > 0);
  activator.wake(fn);
  await new Promise((resolve) => setTimeout(resolve, 250)); // some more looks
  fn.held.count = 0;
  expect([orders, hurried]).toEqual([[], ["f"]]);
});
