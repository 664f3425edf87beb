import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { connect, type NatsConnection } from "nats";
import { natsSource } from "../../events/sources/nats/nats-source.ts";
import { FakeSourceContext, runSource } from "../support/events/source-context.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";

describeWithNats("NATS as a source", () => {
  let server: NatsServer;
  let nc: NatsConnection;

  beforeAll(async () => {
    server = await NatsServer.start();
    nc = await connect({ servers: server.address });
  });

  afterAll(async () => {
    await nc?.close();
    await server?.kill();
  });

  test("messages of core NATS become events", async () => {
    const context = new FakeSourceContext({ name: "a" });
    const source = runSource(natsSource, { servers: `nats://${server.address}`, subjects: "orders.>" }, context);
    await eventually("connected", () => context.connections > 0);
    nc.publish("orders.eu", "hello");
    const [event] = await context.waitForEvents(1);
    expect(event).toMatchObject({ topic: "orders.eu" });
    await source.stop();
  });

  test("messages of a stream become events", async () => {
    const jsm = await nc.jetstreamManager();
    await jsm.streams.add({ name: "S", subjects: ["s.>"] });
    for (let i = 0; i < 10; i++) await nc.jetstream().publish("s.a", `${i}`);
    const context = new FakeSourceContext({ name: "a" });
    const source = runSource(natsSource, { servers: `nats://${server.address}`, stream: "S" }, context);
    const events = await context.waitForEvents(10);
    expect(events.map(({ event }) => String(event.data))).toEqual([..."0123456789"]);
    await eventually(
      "all acknowledged",
      async () => (await jsm.consumers.info("S", "faaslane-openfaas-fn-a")).num_ack_pending === 0,
    );
    await source.stop();
  });
});
