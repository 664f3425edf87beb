import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { type Answer, KubeClient } from "../../kube/client.ts";
import { eventually } from "../../support/eventually.ts";
import { type ImageSpec, ProcessRuntime } from "../../support/kube/kubelet/process-runtime.ts";
import { REAL_NODE, type Timing } from "../../support/kube/kubelet/timing.ts";
import { KubeServer } from "../../support/kube/server.ts";
import { temporaryFolder } from "../../support/platform.ts";
import { startServerProcess } from "../../support/server-process.ts";
import { openProvider } from "./announce-support.ts";
import { inProcess, NAMESPACE } from "./support.ts";

const opened: (() => Promise<unknown>)[] = [];
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
  await folder.remove();
});

const GREETING = inProcess(`export default (req, res) => res.setHeader("Server-Timing", "own;dur=1").end("hi");`);

async function openKube(timing: Partial<Timing>, image: ImageSpec = GREETING): Promise<KubeServer> {
  const kube = await KubeServer.open({ runtime: await ProcessRuntime.open({ "fn:1": image }), timing });
  opened.push(() => kube.close());
  return kube;
}

async function openPlatform(kube: KubeServer, announces: boolean) {
  const provider = await openProvider(kube, { announces });
  opened.push(() => provider.close());
  const gateway = await startServerProcess("gateway/process/main.ts", {
    functions_provider_url: provider.url,
    data_dir: folder.path,
    queue: "none",
  });
  opened.push(() => gateway.stop());
  const call = () => fetch(`${gateway.url}/function/fn`);
  return { provider, gateway, call };
}

const pods = async (kube: KubeServer): Promise<Answer[]> =>
  (await new KubeClient(kube).get(`/api/v1/namespaces/${NAMESPACE}/pods`)).items;

/** Names of the metrics in a `Server-Timing` header, with their times. */
const parseTiming = (header: string | null) =>
  (header ?? "").split(", ").map((part) => {
    const [name, dur] = part.split(";dur=");
    return [name, Number(dur)] as const;
  });

const ref = { name: "fn", namespace: NAMESPACE };
const create = { service: "fn", image: "fn:1", namespace: NAMESPACE };

/** A node that never gets round to telling the API that a process runs, and where. */
const SILENT: Partial<Timing> = { sandboxMs: 20, reportMs: 600_000 };

test("a replica that announces itself serves the call that woke it before the API shows its address", async () => {
  const kube = await openKube(SILENT);
  const { provider, call } = await openPlatform(kube, true);
  await provider.backend.functions.create(create);
  const answer = await call();
  expect(await answer.text()).toBe("hi");
  expect((await pods(kube)).map(({ status }) => status.podIP)).toEqual([undefined]);

  const timing = parseTiming(answer.headers.get("server-timing"));
  expect(timing.map(([name]) => name)).toEqual([
    "own",
    "faaslane-hold",
    "faaslane-scheduled",
    "faaslane-started",
    "faaslane-listening",
    "faaslane-announced",
    "faaslane-offered",
    "faaslane-first-byte",
  ]);
  const phases = timing.slice(2, -1).map(([, ms]) => ms);
  expect([...phases].sort((a, b) => a - b)).toEqual(phases);

  // Asleep and awake again: the gateway asks for a replica, and waits for nothing but it.
  await provider.backend.functions.scale(ref, 0);
  await eventually("it sleeps", () => provider.endpoints("fn").length === 0);
  expect(await (await call()).text()).toBe("hi");
  const metrics = await (await fetch(`${provider.url}/metrics`)).text();
  for (const phase of ["scheduled", "started", "listening", "announced", "offered"]) {
    expect(metrics).toContain(`provider_cold_start_phase_seconds_count{phase="${phase}"} 2`);
  }
  const labels = `{function_name="fn.${NAMESPACE}",phase="listening"}`;
  expect(metrics).toContain(`provider_cold_start_function_seconds_count${labels} 2`);
}, 30_000);

test("so does one whose own server is slow to start, and not before it has", async () => {
  const server = `
    import { createServer } from "node:http";
    setTimeout(() => createServer((req, res) => res.end("slow")).listen(process.env.http_port, "127.0.0.1"), 300);`;
  const kube = await openKube(SILENT, {
    env: {
      mode: "http",
      fprocess: `${process.execPath} server.mjs`,
      upstream_url: "http://127.0.0.1:0",
      healthcheck_interval: "0s",
    },
    files: { "server.mjs": server },
  });
  const { provider, call } = await openPlatform(kube, true);
  await provider.backend.functions.create(create);
  const answer = await call();
  expect([answer.status, await answer.text()]).toEqual([200, "slow"]);
  expect((await pods(kube)).map(({ status }) => status.podIP)).toEqual([undefined]);
}, 30_000);

test("without announcements pods are found by probing, before their kubelet reports them Ready", async () => {
  // As slow to report readiness as a node whose kubelet probes once in a while.
  const kube = await openKube({ ...REAL_NODE, readyReportMs: 600_000 });
  const { provider, call } = await openPlatform(kube, false);
  await provider.backend.functions.create(create);
  const answer = await call();
  expect(await answer.text()).toBe("hi");
  const [pod] = await pods(kube);
  expect(pod.status.conditions.find((one: Answer) => one.type === "Ready").status).toBe("False");
  const timing = parseTiming(answer.headers.get("server-timing"));
  expect(timing.map(([name]) => name)).toEqual([
    "own",
    "faaslane-hold",
    "faaslane-scheduled",
    "faaslane-sandbox",
    "faaslane-started",
    "faaslane-offered",
    "faaslane-first-byte",
  ]);
}, 30_000);

test("a provider that is started anew knows what the API knows, and who announces themselves to it", async () => {
  const kube = await openKube({ sandboxMs: 20, reportMs: 300, readyReportMs: 600_000 });
  const first = await openProvider(kube);
  await first.backend.functions.create(create);
  await eventually("it is offered", () => first.endpoints("fn")[0]?.state === "ready");
  const address = first.endpoints("fn")[0]?.address;
  const announcePort = Number(new URL(first.announceUrl).port);
  await first.close();

  const second = await openProvider(kube, { announcePort });
  opened.push(() => second.close());
  await eventually("it is offered again", () => second.endpoints("fn")[0]?.state === "ready");
  expect(second.endpoints("fn")[0]?.address).toBe(address);
  await second.backend.functions.scale(ref, 2);
  await eventually(
    "another is, too",
    () => second.endpoints("fn").filter(({ state }) => state === "ready").length === 2,
  );
  const announced = second.endpoints("fn").filter(({ startup }) => startup?.announced !== undefined);
  expect(announced).toHaveLength(1);
}, 30_000);

test("what has crashed is offered again only when it answers again", async () => {
  const kube = await openKube(
    { ...SILENT, reportMs: 50, crashBackoffMs: 300 },
    inProcess(`export default (req, res) => req.url === "/crash" ? process.exit(1) : res.end("hi");`),
  );
  const provider = await openProvider(kube);
  opened.push(() => provider.close());
  await provider.backend.functions.create(create);
  const endpoint = await eventually("it is offered", () => {
    const [one] = provider.endpoints("fn");
    return one?.state === "ready" && one;
  });
  await fetch(`http://${endpoint.address}/crash`).catch(() => undefined);
  await eventually("it is no longer", () => provider.endpoints("fn")[0]?.state !== "ready");
  await eventually("it is again", () => provider.endpoints("fn")[0]?.state === "ready");
  expect((await pods(kube))[0].status.containerStatuses[0].restartCount).toBe(1);
}, 30_000);

/** As the original watchdog: it is well at once, and the server behind it listens later. */
const LATE_SERVER: ImageSpec = {
  command: [process.execPath, "watchdog.mjs"],
  files: {
    "watchdog.mjs": `
      import { createServer } from "node:http";
      let listens = false;
      setTimeout(() => (listens = true), 1_000);
      createServer((req, res) => {
        if (req.url === "/_/health") res.end("OK");
        else if (req.url === "/up") res.writeHead(listens ? 200 : 503).end();
        else if (listens) res.end("hi");
        else res.writeHead(500).end("dial tcp 127.0.0.1:3000: connect: connection refused");
      }).listen(8080, process.env.bind_address);
    `,
  },
};

test.each<[what: string, annotations: Record<string, string>]>([
  ["is left to its kubelet, with its delay", { "com.openfaas.ready.http.initialDelaySeconds": "2" }],
  ["is offered by a path of its own", { "com.openfaas.ready.http.path": "/up" }],
])(
  "an image whose watchdog is up before its server: %s",
  async (_what, annotations) => {
    const kube = await openKube({ sandboxMs: 20, reportMs: 50, eagerProbeMs: undefined }, LATE_SERVER);
    const { provider, call } = await openPlatform(kube, true);
    await provider.backend.functions.create({ ...create, annotations });
    await eventually("it is ready", () => provider.endpoints("fn")[0]?.state === "ready", 20_000);
    for (let start = 0; start < 2; start += 1) {
      await provider.backend.functions.scale(ref, 0);
      await eventually("its pods are gone", () => provider.endpoints("fn").length === 0);
      const begunAt = performance.now();
      const answer = await call();
      expect([answer.status, await answer.text()]).toEqual([200, "hi"]);
      expect(performance.now() - begunAt).toBeGreaterThan(900);
    }
  },
  60_000,
);
