import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Connection } from "rabbitmq-client";
import { rabbitSource } from "../../events/sources/rabbitmq/rabbitmq-source.ts";
import { FakeSourceContext, runSource } from "../support/events/source-context.ts";
import { describeWithRabbitMq, RabbitMq } from "../support/servers/rabbitmq.ts";

describeWithRabbitMq("RabbitMQ as a source", () => {
  let server: RabbitMq;
  let publisher: Connection;

  beforeAll(async () => {
    server = await RabbitMq.start();
    publisher = new Connection(server.loginUrl);
  }, 100_000);

  afterAll(async () => {
    publisher?.unsafeDestroy();
    await server?.stop();
  });

  test("messages become events", async () => {
    await publisher.queueDeclare({ queue: "orders", durable: true });
    const send = publisher.createPublisher({ confirm: true });
    await send.send({ routingKey: "orders", contentType: "application/json" }, Buffer.from('{"a" : 1}'));
    const context = new FakeSourceContext({ name: "a" });
    const source = runSource(rabbitSource, { url: server.url, queues: "orders" }, context);
    const [event] = await context.waitForEvents(1);
    expect(String(event?.event.data)).toBe('{"a" : 1}');
    await source.stop();
    await send.close();
  });
});
