import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { CloudEvent } from "../../events/codec/cloud-event.ts";
import { BrokerIngress } from "../../events/routes/broker.ts";
import { BoundSinks } from "../../events/triggers/bound-sinks.ts";
import { BodyReader } from "../../gateway/proxy/body-reader.ts";
import { createLogger } from "../../kit/log.ts";
import { EventStack, embeddedPlace, NAMESPACE } from "../support/events/event-stack.ts";
import { HttpSubscriber } from "../support/events/subscriber.ts";
import { eventually } from "../support/eventually.ts";

const SINK = "com.faaslane.events.sink";
const sent: { readonly sink: string; readonly event: CloudEvent }[] = [];
/** What the sink answers next; 200 when there is nothing. */
const answers: number[] = [];

let stack: EventStack;
let place: Awaited<ReturnType<typeof embeddedPlace>>;
let server: Server;
let bound: BoundSinks;
let url: string;

beforeAll(async () => {
  place = await embeddedPlace();
  stack = await EventStack.open(place, {
    sendToSink: async ({ namespace, name }, event) => {
      sent.push({ sink: `${namespace}/${name}`, event });
      return { status: answers.shift() ?? 200 };
    },
  });
  const { events, resources } = stack.store;
  bound = new BoundSinks(stack.functions, resources);
  const ingress = new BrokerIngress({
    events,
    brokers: stack.brokers,
    sinks: bound,
    bodies: new BodyReader({ limitBytes: 1024 ** 2, totalBytes: 1024 ** 2 }),
    auth: false,
    isAuthorized: (req) => req.headers.authorization === "Basic right",
    defaultNamespace: NAMESPACE,
    log: createLogger("silent"),
  });
  server = createServer((req, res) => void ingress.handle(req, res));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const name of ["kafka", "other", "unbound"]) {
    await resources.put({ kind: "sink", namespace: NAMESPACE, name, spec: { type: "webhook" } });
  }
  stack.functions.deploy("sender", { [SINK]: "sink/kafka" });
  stack.functions.deploy("second", { [SINK]: "sink/other" });
  stack.functions.deploy("hopeful", { [SINK]: "sink/nowhere" });
});

afterAll(async () => {
  server?.close();
  bound?.close();
  await stack?.close();
  await place?.remove();
});

const send = (path: string, id: string, headers: Record<string, string> = {}) =>
  fetch(url + path, {
    method: "POST",
    body: "hi",
    headers: { "ce-specversion": "1.0", "ce-id": id, "ce-source": "/fn", "ce-type": "made", ...headers },
  });
const sentTo = (id: string) => sent.filter(({ event }) => event.attributes.id === id).map(({ sink }) => sink);

test("an event that a function sends to a sink is stored, goes there alone, and is in the ledger", async () => {
  const answer = await send(`/broker/${NAMESPACE}/sink/kafka`, "to-kafka");
  expect([answer.status, answer.headers.get("x-event-ref")]).toEqual([202, expect.any(String)]);
  const record = await stack.settled("to-kafka");
  expect(record.event.broker).toEqual({ namespace: NAMESPACE, name: "sinks" });
  expect(record.deliveries).toMatchObject([{ trigger: `sink/${NAMESPACE}/kafka`, state: "delivered" }]);
  expect(sentTo("to-kafka")).toEqual([`${NAMESPACE}/kafka`]);
});

test("a sink that fails is tried again, as the broker sinks says when it is declared", async () => {
  const spec = { auth: "basic", delivery: { retry: 1, backoffDelay: "10ms" } };
  await stack.store.resources.put({ kind: "broker", namespace: NAMESPACE, name: "sinks", spec });
  await stack.brokers.refresh();
  answers.push(503, 503, 503);
  expect((await send(`/broker/${NAMESPACE}/sink/kafka`, "refused")).status).toBe(401);
  expect((await send(`/broker/${NAMESPACE}/sink/kafka`, "fails", { authorization: "Basic right" })).status).toBe(202);
  const record = await stack.settled("fails");
  expect(record.deliveries).toMatchObject([{ state: "dead", tries: 2 }]);
  answers.length = 0;
  await stack.store.resources.remove({ kind: "broker", namespace: NAMESPACE, name: "sinks" });
  await stack.brokers.refresh();
});

test("one Idempotency-Key is one event for each sink, not for all of them", async () => {
  const key = { "idempotency-key": "k" };
  for (const name of ["kafka", "other", "kafka"]) {
    expect((await send(`/broker/${NAMESPACE}/sink/${name}`, `key-${name}`, key)).status).toBe(202);
  }
  for (const name of ["kafka", "other"]) {
    await stack.settled(`key-${name}`);
    expect(sentTo(`key-${name}`)).toEqual([`${NAMESPACE}/${name}`]);
  }
});

test.each([
  ["that no function sends to", `/broker/${NAMESPACE}/sink/unbound`, 404, "unknown_sink"],
  ["that is not declared", `/broker/${NAMESPACE}/sink/nowhere`, 404, "unknown_sink"],
  ["of another namespace", "/broker/elsewhere/sink/kafka", 404, "unknown_sink"],
  ["whose name is none", `/broker/${NAMESPACE}/sink/..`, 404, "unknown_broker"],
  ["with a path behind it", `/broker/${NAMESPACE}/sink/kafka/more`, 400, "invalid_request"],
  ["by the name of its broker", `/broker/${NAMESPACE}/sinks`, 404, "unknown_broker"],
])("a sink %s takes nothing from strangers", async (_what, path, status, code) => {
  const before = sent.length;
  const answer = await send(path, "stray");
  expect([answer.status, answer.headers.get("x-faaslane-error")]).toEqual([status, code]);
  expect(sent).toHaveLength(before);
});

test("a sink takes nothing any more once the function is gone", async () => {
  stack.functions.deploy("leaving", { [SINK]: "sink/unbound" });
  expect((await send(`/broker/${NAMESPACE}/sink/unbound`, "while-there")).status).toBe(202);
  stack.functions.remove("leaving");
  expect((await send(`/broker/${NAMESPACE}/sink/unbound`, "too-late")).status).toBe(404);
});

test("what a function answers to its events goes to its sink, not back to the broker", async () => {
  const headers = { "ce-specversion": "1.0", "ce-id": "its-reply", "ce-source": "/fn", "ce-type": "order.placed" };
  const subscriber = await HttpSubscriber.open(() => ({ status: 200, headers, body: "answered" }));
  try {
    stack.functions.deploy("answerer", { topic: "order.placed", [SINK]: "sink/other" }, subscriber.url);
    const [id = ""] = await stack.send();
    await stack.settled(id);
    const reply = await eventually("the sink has the reply", async () => {
      return sentTo("its-reply").length > 0 ? await stack.record("its-reply") : undefined;
    });
    expect(reply.event.via).toBe(`reply/function/${NAMESPACE}/answerer`);
    expect(sentTo("its-reply")).toEqual([`${NAMESPACE}/other`]);
    expect(subscriber.received).toHaveLength(1);
  } finally {
    await subscriber.close();
  }
});
