import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { openGatewayAt, TEST_LEASE_MS, TestGateways } from "../gateway/cluster/support.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";

describeWithNats("gateways whose NATS server fails", () => {
  let nats: NatsServer;
  let gateways: TestGateways;

  beforeEach(async () => {
    nats = await NatsServer.start({ maxPayload: 4096 });
    gateways = new TestGateways(nats.address);
  });

  afterEach(async () => {
    await gateways.close();
    await nats.remove();
  });

  test("a server of a cluster is killed: one leads again, never two", async () => {
    const servers = await NatsServer.startCluster(3);
    const all = servers.map((server, i) =>
      openGatewayAt(server.address, `g${i}`, {
        servers: [server, ...servers].map(({ address }) => address),
        bucket: { replicas: 3, storage: "file" },
      }),
    );
    gateways.all.push(...all);
    try {
      const first = await gateways.oneLeads("one leads", 60_000);
      await servers[all.indexOf(first)]?.kill();
      await eventually("all are connected", () => all.every(({ exchange }) => !exchange.away), 30_000);
      await eventually("one leads for a while", async () => {
        const { name } = await gateways.oneLeads("one leads again", 60_000);
        return all.every(({ leadership }) => leadership.leader === name);
      });
    } finally {
      await gateways.close();
      for (const server of servers) await server.remove();
    }
  }, 150_000);

  test.each(["file", "memory"] as const)(
    "a server that is killed: it is said at once, the lease ends, and with a new one (%s) one leads",
    async (storage) => {
      const all = ["a", "b", "c"].map((name) => gateways.open(name, { bucket: { replicas: 1, storage } }));
      await gateways.oneLeads("one leads");
      await nats.kill();
      await eventually("all say so", () => all.every(({ exchange }) => exchange.away !== undefined), 1000);
      await eventually("nobody leads", () => gateways.leading.length === 0, TEST_LEASE_MS);
      await nats.restart();
      await gateways.near(...all);
      await gateways.oneLeads("one leads again");
    },
  );

  test("a server that hangs: others cannot be heard, and nobody leads", async () => {
    const [a, b] = [gateways.open("a"), gateways.open("b")];
    await gateways.oneLeads("one leads");
    process.kill(nats.pid, "SIGSTOP");
    try {
      await eventually("nobody leads", () => gateways.leading.length === 0, TEST_LEASE_MS + 500);
      await eventually("it is said", () => {
        a.exchange.publish({ gateway: "a", functions: {} });
        b.exchange.publish({ gateway: "b", functions: {} });
        return a.exchange.away?.includes("does not answer") && b.exchange.away;
      });
    } finally {
      process.kill(nats.pid, "SIGCONT");
    }
    await gateways.oneLeads("one leads again");
    await gateways.near(a, b);
  });

  test.each<NodeJS.Signals>(["SIGKILL", "SIGSTOP"])("they close soon although their server got %s", async (signal) => {
    const [a, b] = [gateways.open("a"), gateways.open("b")];
    await gateways.oneLeads("one leads");
    process.kill(nats.pid, signal);
    const begun = performance.now();
    await Promise.all([a.close(), b.close()]);
    expect(performance.now() - begun).toBeLessThan(3000);
    expect(gateways.leading).toEqual([]);
  });
});
