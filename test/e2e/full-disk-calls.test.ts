import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "@jest/globals";
import { Callers } from "../support/callers.ts";
import { eventually } from "../support/eventually.ts";
import { LoneGateway } from "../support/lone-gateway.ts";
import { testNeeding } from "../support/needing.ts";
import { missingSmallDisk, mountSmallDisk } from "../support/small-disk.ts";

testNeeding(missingSmallDisk())(
  "while a gateway can write neither queue nor counts, calls go on, asynchronous ones are refused, and both follow later",
  async () => {
    const disk = mountSmallDisk(16);
    const dataDir = join(disk.path, "data");
    const on = await LoneGateway.start({ env: { data_dir: dataDir } });
    const callers = new Callers(on.url("f"));
    try {
      const [replica] = await on.startReplicas(1);
      await on.announce("f", [replica?.address as string]);
      const later = async () => {
        const answer = await fetch(`${on.gateway.url}/async-function/f`, { method: "POST", body: "x".repeat(50_000) });
        return { status: answer.status, text: await answer.text() };
      };
      expect(await later()).toMatchObject({ status: 202 });
      callers.set(4);
      const carry = async (calls: number) => {
        const until = callers.done + calls;
        await eventually(`${calls} more calls`, () => callers.done >= until || callers.failures.length > 0, 60_000, 20);
      };
      await carry(100);
      await eventually(
        "nothing is taken any more",
        async () => {
          disk.fill();
          return (await later()).status === 503;
        },
        30_000,
      );
      // What is kept back for the worst may have to go first.
      for (let i = 0; i < 10; i++) {
        disk.fill();
        expect(await later()).toEqual({ status: 503, text: expect.stringMatching(/space|full|free/) });
        await carry(50);
      }
      disk.clear();
      await eventually("they are taken again", async () => (await later()).status === 202, 30_000, 100);
      await carry(100);
      await callers.stop();
      expect(callers.failures).toEqual([]);
      // Every call was counted, those of the time without room included.
      expect(await on.gateway.stop()).toBe(0);
      const counted = JSON.parse(readFileSync(join(dataDir, "calls.json"), "utf8")) as Record<string, number>;
      expect(counted["f.openfaas-fn"]).toBeGreaterThanOrEqual(callers.done);
    } finally {
      await callers.stop();
      await on.close();
      disk.remove();
    }
  },
  120_000,
);
