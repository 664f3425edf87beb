import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { ScalingReport } from "../../contract/scaling.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { jsonBody } from "../support/json-body.ts";
import { describeWithNats, NatsServer } from "../support/nats.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

const IMAGE = "docker.io/local/slow:1";
const LEASE_MS = 6000;
const MAX = 6;
/** Calls in flight per replica. */
const TARGET = 4;

/** Callers of one gateway, each with a call at a time. */
class Callers {
  readonly failures: string[] = [];
  made = 0;
  readonly #url: string;
  readonly #running: Promise<void>[] = [];
  #wanted = 0;

  constructor(gateway: ServerProcess) {
    this.#url = `${gateway.url}/function/slow`;
  }

  become(wanted: number): void {
    this.#wanted = wanted;
    while (this.#running.length < wanted) this.#running.push(this.#run(this.#running.length));
  }

  async #run(index: number): Promise<void> {
    while (index < this.#wanted) {
      try {
        const answer = await fetch(this.#url);
        const text = await answer.text();
        if (answer.status !== 200) this.failures.push(`${answer.status} ${text}`);
      } catch (error) {
        this.failures.push(String(error));
      }
      this.made++;
    }
  }

  async stop(): Promise<void> {
    this.#wanted = 0;
    await Promise.all(this.#running.splice(0));
  }
}

describeWithNats("three gateways on one NATS", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let nats: NatsServer;
  let provider: ServerProcess;
  let gateways: ServerProcess[] = [];
  let callers = new Map<ServerProcess, Callers>();

  beforeAll(async () => {
    folder = await temporaryFolder();
    nats = await NatsServer.start();
    provider = await startServerProcess("provider/main.ts", { data_dir: folder.path });
    const control = (path: string, init?: RequestInit) => fetch(provider.url + path, init);
    await buildImage({ control }, IMAGE, {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./slow.mjs" } }),
      "slow.mjs": `export default (_req, res) => setTimeout(() => res.end("done"), 250);`,
    });
    gateways = await Promise.all([0, 1, 2].map(() => startGateway()));
    callers = new Map(gateways.map((gateway) => [gateway, new Callers(gateway)]));
    const labels = {
      "com.openfaas.scale.type": "capacity",
      "com.openfaas.scale.target": `${TARGET}`,
      "com.openfaas.scale.target-proportion": "1",
      "com.openfaas.scale.max": `${MAX}`,
      "com.faaslane.scale.window": "6s",
      "com.faaslane.scale.down-delay": "0s",
    };
    const body = jsonBody({ service: "slow", image: IMAGE, labels });
    expect((await fetch(`${provider.url}/system/functions`, { method: "POST", ...body })).status).toBe(202);
    await eventually("it answers", async () => (await fetch(`${provider.url}/function/slow`)).status === 200, 30_000);
  }, 120_000);

  afterAll(async () => {
    for (const each of callers.values()) await each.stop();
    for (const gateway of gateways) await gateway.stop();
    await provider?.stop();
    await nats?.remove();
    await folder?.remove();
  }, 60_000);

  async function startGateway(): Promise<ServerProcess> {
    return await startServerProcess("gateway/process/main.ts", {
      functions_provider_url: provider.url,
      nats_url: `nats://${nats.address}`,
    });
  }

  async function explain(gateway: ServerProcess): Promise<ScalingReport> {
    const answer = await fetch(`${gateway.url}/system/scaling/slow`);
    return (await answer.json()) as ScalingReport;
  }

  const explainAll = (of: readonly ServerProcess[]) => Promise.all(of.map(explain));

  async function findLeader(of: readonly ServerProcess[], deadlineMs: number): Promise<ServerProcess> {
    const find = async () => {
      const index = (await explainAll(of)).findIndex(({ leading }) => leading);
      return of[index];
    };
    return await eventually("one leads", find, deadlineMs, 50);
  }

  /** Notes each number of replicas that the provider wants, until it is stopped. */
  function watchReplicas(): { readonly seen: number[]; stop(): Promise<void> } {
    const seen: number[] = [];
    let stopped = false;
    const running = (async () => {
      while (!stopped) {
        const { replicas } = (await (await fetch(`${provider.url}/system/function/slow`)).json()) as ScalingReport;
        if (seen.at(-1) !== replicas) seen.push(replicas);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    return {
      seen,
      stop: async () => {
        stopped = true;
        await running;
      },
    };
  }

  async function readyReplicas(): Promise<number> {
    const { availableReplicas } = (await (await fetch(`${provider.url}/system/function/slow`)).json()) as {
      availableReplicas: number;
    };
    return availableReplicas;
  }

  test("the leader is killed in the middle of a ramp: another one goes on, nothing is taken away, no call fails", async () => {
    const leader = await findLeader(gateways, 30_000);
    const { leader: name } = await explain(leader);
    await eventually("all know who", async () =>
      (await explainAll(gateways)).every((report) => report.leader === name),
    );

    // What one gateway sees alone asks for one replica; the sum of three asks for three.
    for (const each of callers.values()) each.become(TARGET);
    await eventually("the sum is scaled for", async () => (await readyReplicas()) >= 3, 30_000, 50);
    const replicas = watchReplicas();
    process.kill(leader.pid, "SIGKILL");
    const others = gateways.filter((gateway) => gateway !== leader);
    gateways = others;
    const lost = callers.get(leader) as Callers;
    callers.delete(leader);
    await Promise.all([lost.stop(), leader.stop()]);
    // The ramp goes on, at the gateways that are left.
    for (const each of callers.values()) each.become((MAX * TARGET) / 2);

    await findLeader(others, LEASE_MS + 1000);
    await eventually("full scale", async () => (await readyReplicas()) === MAX, 30_000, 50);
    await replicas.stop();
    expect(replicas.seen).toEqual(replicas.seen.toSorted((a, b) => a - b));
    expect(replicas.seen.at(-1)).toBe(MAX);
    expect([...callers.values()].flatMap(({ failures }) => failures)).toEqual([]);
  }, 120_000);

  test("NATS is killed: replicas stay although the calls end, calls go on, and with NATS one leads again", async () => {
    const replicas = watchReplicas();
    await nats.kill();
    for (const each of callers.values()) each.become(1);
    await eventually(
      "all say why they decide nothing, and nobody leads",
      async () =>
        (await explainAll(gateways)).every(
          ({ leading, leader, last }) =>
            !leading && leader === undefined && last?.steps.some(({ text }) => text.includes("no connection to NATS")),
        ),
      20_000,
      50,
    );
    // Longer than the window over which load is averaged, and than the time after which a gateway counts as gone.
    const before = [...callers.values()].map(({ made }) => made);
    await eventually(
      "calls go on",
      () => [...callers.values()].every(({ made }, i) => made >= (before[i] as number) + 44),
      30_000,
      50,
    );
    expect(replicas.seen).toEqual([MAX]);

    await nats.restart();
    await findLeader(gateways, 30_000);
    expect(replicas.seen).toEqual([MAX]);
    await eventually("what is not needed goes", async () => (await readyReplicas()) === 1, 60_000, 100);
    await replicas.stop();
    expect([...callers.values()].flatMap(({ failures }) => failures)).toEqual([]);
  }, 150_000);

  test("a leader that is stopped hands over at once", async () => {
    const leader = await findLeader(gateways, 30_000);
    const others = gateways.filter((gateway) => gateway !== leader);
    const fresh = await startGateway();
    gateways.push(fresh);
    await callers.get(leader)?.stop();
    expect(await leader.stop()).toBe(0);
    gateways = gateways.filter((gateway) => gateway !== leader);
    await findLeader([...others, fresh], LEASE_MS / 2);
  }, 60_000);
});
