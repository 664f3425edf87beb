import { afterAll, beforeAll, expect, test } from "@jest/globals";
import mqtt from "mqtt";
import { mqttSource } from "../../events/sources/mqtt/mqtt-source.ts";
import { FakeSourceContext, runSource } from "../support/events/source-context.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithMosquitto, Mosquitto } from "../support/servers/mosquitto.ts";

describeWithMosquitto("MQTT as a source", () => {
  let server: Mosquitto;
  let publisher: mqtt.MqttClient;

  beforeAll(async () => {
    server = await Mosquitto.start();
    publisher = await mqtt.connectAsync(server.url, { protocolVersion: 5 });
  });

  afterAll(async () => {
    await publisher?.endAsync(true);
    await server?.stop();
  });

  test.each([
    ["5", 0],
    ["5", 1],
    ["5", 2],
    ["3.1.1", 1],
  ] as const)("messages become events, in version %s with QoS %i", async (version, qos) => {
    const context = new FakeSourceContext({ name: `a${version.length}${qos}` });
    const source = runSource(mqttSource, { url: server.url, topics: "machines/#", qos, version }, context);
    await eventually("connected", () => context.connections > 0);
    for (let i = 0; i < 5; i++) await publisher.publishAsync("machines/1/heat", `${20 + i}`, { qos });
    const events = await context.waitForEvents(5);
    expect(events.map(({ event }) => String(event.data))).toEqual(["20", "21", "22", "23", "24"]);
    expect(events[0]).toMatchObject({ topic: "machines/1/heat" });
    await source.stop();
  });
});
