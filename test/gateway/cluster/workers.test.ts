import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { UiGateway } from "../../../contract/ui/platform.ts";
import { tellOfWorker } from "../../../gateway/process/tell-of-worker.ts";
import { KnownGateways } from "../../../gateway/ui/platform/gateways.ts";
import { createLogger } from "../../../kit/log.ts";
import { eventually } from "../../support/eventually.ts";
import { describeWithNats, NatsServer } from "../../support/nats.ts";
import { openGatewayAt } from "./support.ts";

const own: UiGateway = { name: "a", release: "1", startedAt: 1, leads: true, threads: 1, hasProvider: true };

describeWithNats("workers of their own", () => {
  let nats: NatsServer;
  beforeAll(async () => {
    nats = await NatsServer.start();
  });
  afterAll(async () => await nats?.remove());

  test("tell a gateway that asks who they are, and why they are not healthy, until they close", async () => {
    const gateway = openGatewayAt(nats.address, "a");
    let trouble: string | undefined;
    const log = createLogger("silent");
    const servers = [`nats://${nats.address}`];
    const secretMountPath = "/nowhere";
    const common = { servers, secretMountPath, release: "2", log };
    const queue = tellOfWorker({ ...common, kind: "queue", problem: () => trouble });
    const events = tellOfWorker({ ...common, kind: "events", problem: () => undefined });
    const known = new KnownGateways(() => own, gateway.questions);
    const listed = async () => {
      const { gateways, workers } = await known.list();
      expect(gateways).toEqual([own]);
      return workers;
    };
    const found = await eventually("both answer", async () => {
      const workers = await listed();
      return workers.length === 2 && workers;
    });
    expect(new Set(found.map(({ name }) => name)).size).toBe(2);
    expect(found.map(({ kind }) => kind).sort()).toEqual(["events", "queue"]);
    for (const { release, startedAt, problem } of found) {
      expect([release, Date.now() - startedAt < 60_000, problem]).toEqual(["2", true, undefined]);
    }
    await events.close();
    trouble = "the queue is away";
    await eventually("one is left, and says what is wrong", async () => {
      expect(await listed()).toMatchObject([{ kind: "queue", problem: trouble }]);
      return true;
    });
    await queue.close();
    await gateway.close();
  });
});
