import { expect, test } from "@jest/globals";
import type { EndpointsEvent, FunctionEndpoints } from "../../contract/endpoints.ts";
import { WatchHub } from "../../provider/backends/watch-hub.ts";

const seen = (name: string, generation: number): FunctionEndpoints => ({
  name,
  namespace: "ns",
  labels: {},
  annotations: {},
  replicas: 1,
  generation,
  endpoints: [],
});

const words = (event: EndpointsEvent | undefined) =>
  event?.type === "heartbeat" ? "heartbeat" : `${event?.type} ${event?.function.name} ${event?.function.generation}`;

async function take(stream: AsyncGenerator<EndpointsEvent>, count: number): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) taken.push(words((await stream.next()).value));
  return taken;
}

test("a slow reader gets the newest state of each function, in the order of the latest changes", async () => {
  const hub = new WatchHub();
  hub.publish(seen("a", 1));
  hub.publish(seen("b", 1));
  const stream = hub.watch(new AbortController().signal);
  expect(await take(stream, 1)).toEqual(["snapshot a 1"]);
  for (let n = 2; n <= 1000; n += 1) {
    hub.publish(seen("b", n));
    hub.publish(seen("a", n));
  }
  hub.remove(seen("b", 0));
  // The rest of the snapshot is as old as its beginning; what changed since follows it.
  expect(await take(stream, 4)).toEqual(["snapshot b 1", "heartbeat", "changed a 1000", "removed b 1000"]);
});

test("what is published again without a change is not told", async () => {
  const hub = new WatchHub();
  const stream = hub.watch(new AbortController().signal);
  expect(await take(stream, 1)).toEqual(["heartbeat"]);
  hub.publish(seen("a", 1));
  expect(await take(stream, 1)).toEqual(["changed a 1"]);
  hub.publish(seen("a", 1));
  hub.publish(seen("a", 2));
  expect(await take(stream, 1)).toEqual(["changed a 2"]);
});

test("a function that comes back after its removal is told as it is now", async () => {
  const hub = new WatchHub();
  hub.publish(seen("a", 1));
  const stream = hub.watch(new AbortController().signal);
  expect(await take(stream, 2)).toEqual(["snapshot a 1", "heartbeat"]);
  hub.remove(seen("a", 1));
  hub.publish(seen("a", 2));
  expect(await take(stream, 1)).toEqual(["changed a 2"]);
});

test("all streams end with the hub", async () => {
  const hub = new WatchHub();
  const stream = hub.watch(new AbortController().signal);
  await stream.next();
  const next = stream.next();
  hub.end();
  expect((await next).done).toBe(true);
  expect((await hub.watch(new AbortController().signal).next()).done).toBe(true);
});
