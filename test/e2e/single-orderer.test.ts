import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { TcpRelay } from "../support/tcp-relay.ts";

/** A gateway with its own way to NATS, and its own door to the provider: by it one knows who orders. */
interface Side {
  readonly name: string;
  readonly relay: TcpRelay;
  readonly provider: FakeProvider;
  readonly gateway: OpenGateway;
}

describeWithNats("gateways that are cut from each other", () => {
  let nats: NatsServer;
  const sides: Side[] = [];
  const orders: string[] = [];

  beforeEach(async () => {
    nats = await NatsServer.start();
    for (const name of ["a", "b"]) sides.push(await open(name));
  });

  afterEach(async () => {
    for (const { relay, gateway, provider } of sides.splice(0)) {
      relay.unblock();
      await gateway.close();
      await relay.close();
      await provider.close();
    }
    orders.length = 0;
    await nats.remove();
  });

  async function open(name: string): Promise<Side> {
    const relay = await TcpRelay.open(nats.address);
    const provider = await FakeProvider.open();
    // It has too few replicas, which does not change: at each tick whoever leads orders more, whether it sees loads or not.
    provider.put({ name: "f", replicas: 1, labels: { "com.openfaas.scale.min": "3" } });
    provider.respond = ({ method, url }, res) => {
      if (method === "POST" && url.startsWith("/system/scale-function/")) orders.push(name);
      res.writeHead(202).end();
    };
    const config = loadGatewayConfig({
      port: "0",
      metrics_port: "0",
      basic_auth: "false",
      functions_provider_url: provider.url.href,
      queue: "none",
      nats_url: `nats://${relay.address}`,
      autoscaling_lease: "1.5s",
      drain_timeout: "1s",
    });
    return { name, relay, provider, gateway: await openGateway(config, undefined, createLogger("silent")) };
  }

  test("never both order: the one that is cut off has stopped when the other one begins", async () => {
    await eventually("one orders", () => orders.length >= 2, 20_000);
    const turns = [orders.at(-1) as string];
    for (let cut = 0; cut < 2; cut++) {
      const first = turns.at(-1);
      const leading = sides.find(({ name }) => name === first) as Side;
      leading.relay.block();
      const begun = orders.length;
      await eventually("the other one orders, again and again", () => orders.length >= begun + 2, 20_000);
      // What it has asked for meanwhile arrives now, long after others have taken over.
      leading.relay.unblock();
      const healed = orders.length;
      await eventually("orders go on", () => orders.length >= healed + 2, 20_000);
      turns.push(orders.at(-1) as string);
    }
    // One turn after the other, as often as there were cuts: if both had ordered at a time, there were more.
    const seen = orders.filter((name, i) => name !== orders[i - 1]);
    expect(seen).toEqual(turns);
    expect(new Set(turns).size).toBe(2);
  }, 120_000);
});
