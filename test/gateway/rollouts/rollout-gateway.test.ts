import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "@jest/globals";
import type { ListedRollout } from "../../../contract/versions/requests.ts";
import { eventually } from "../../support/eventually.ts";
import { ScalingGateway } from "../scaling-gateway.ts";
import { RolloutProvider } from "./rollout-provider.ts";
import { rolloutOf } from "./rollout-world.ts";

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function open(settings: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) {
  const gateway = await ScalingGateway.open(env);
  closing.push(() => gateway.close());
  const now = Date.now();
  const rollout = rolloutOf(settings, { startedAt: now, since: now });
  return { gateway, begin: () => new RolloutProvider(gateway.provider, rollout) };
}

/** Somebody who is asked, and says yes. */
async function openHook() {
  const asked: { readonly body: unknown; readonly type: string | undefined }[] = [];
  const server: Server = createServer(async (req: IncomingMessage, res) => {
    const pieces: Buffer[] = [];
    for await (const piece of req) pieces.push(piece as Buffer);
    asked.push({ body: JSON.parse(Buffer.concat(pieces).toString()), type: req.headers["content-type"] });
    res.end("fine");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { asked, port };
}

test("a gateway alone warms a version and brings it to all calls; its metrics tell of it", async () => {
  const { gateway, begin } = await open({ steps: "5@1s,100", "no-data": "advance", warm: "2" });
  const provider = begin();
  await eventually("the new version is asked for", () => gateway.orders().length > 0, 20_000);
  expect(gateway.orders()[0]).toEqual({ serviceName: "shop@v2", namespace: "openfaas-fn", replicas: 2 });
  await eventually("its first step", () => provider.course.includes("step 0"), 20_000);
  const scrape = async () => await (await fetch(`${gateway.gateway.metricsUrl}/metrics`)).text();
  const series = 'gateway_rollout_phase{function_name="shop.openfaas-fn",function_version="v2",phase="step"} 1';
  await eventually("it shows", async () => (await scrape()).includes(series), 20_000);
  await eventually("it is done", () => provider.course.at(-1) === "done 1", 20_000);
  expect(provider.course).toEqual(["step 0", "done 1"]);
  await eventually("its end is counted", async () =>
    (await scrape()).includes('gateway_rollouts_ended_total{phase="done"} 1'),
  );
}, 60_000);

test.each(["a function", "an address"])(
  "%s that is a hook is asked before the end",
  async (kind) => {
    const { asked, port } = await openHook();
    const hook = kind === "a function" ? "judge" : `http://127.0.0.1:${port}/judge`;
    const { gateway, begin } = await open({ steps: "100", hook });
    const address = `127.0.0.1:${port}`;
    gateway.provider.put({ name: "judge", endpoints: [{ address, instance: "judge", state: "ready" }] });
    const provider = begin();
    await eventually("it goes on", () => provider.course.at(-1) === "done 0", 30_000);
    const question = { function: "shop", namespace: "openfaas-fn", version: "v2", phase: "done", step: 0 };
    expect(asked).toEqual([{ body: question, type: "application/json" }]);
  },
  60_000,
);

test("who follows a rollout is told how it stands, of each change, and of its end; a gateway that stops lets go", async () => {
  const { gateway, begin } = await open({ steps: "50@pause,100" });
  const provider = begin();
  const path = "/system/function/shop/rollout?namespace=openfaas-fn";
  const plain = await gateway.control(path);
  expect(await plain.json()).toMatchObject({ rollout: { to: "v2" } });
  const answer = await gateway.control(path, { headers: { accept: "text/event-stream" } });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("text/event-stream");
  let text = "";
  const reading = (async () => {
    for await (const piece of answer.body as AsyncIterable<Uint8Array>) text += Buffer.from(piece).toString();
  })();
  const phases = () =>
    text
      .split("\n\n")
      .filter((event) => event.startsWith("event: rollout\n"))
      .map((event) => JSON.parse(event.slice(event.indexOf("data: ") + 6)) as ListedRollout)
      .map(({ rollout }) => rollout?.phase);
  await eventually("it waits for approval", () => phases().at(-1) === "paused", 20_000);
  const { rollout } = provider.listed;
  if (rollout) provider.set({ ...rollout, phase: "done", step: 1 });
  await eventually("its end", () => phases().at(-1) === "done", 20_000);
  expect([...new Set(phases())].slice(-2)).toEqual(["paused", "done"]);
  expect((await fetch(gateway.gateway.url + path, { headers: { accept: "text/event-stream" } })).status).toBe(401);
  const closed = gateway.gateway.close();
  await reading;
  await closed;
}, 60_000);
