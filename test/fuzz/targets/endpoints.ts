import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { startServerProcess } from "../../support/server-process.ts";
import { ask } from "../ask.ts";
import type { Dice } from "../dice.ts";
import { mutateBytes } from "../mutate-bytes.ts";
import { mutateJson } from "../mutate-json.ts";
import type { FuzzTarget } from "../target.ts";
import { Watch } from "../watch.ts";

const SNAPSHOT = {
  name: "f",
  namespace: "openfaas-fn",
  labels: { "com.openfaas.scale.max": "5", "com.openfaas.scale.zero": "true" },
  annotations: { "com.openfaas.queue": "q", "com.openfaas.retry.attempts": "2" },
  replicas: 1,
  generation: 1,
  maxInflight: 4,
  endpoints: [{ address: "127.0.0.1:1", instance: "f-1", state: "ready", startup: { started: 1, listening: 5 } }],
};
const EVENTS = [
  { type: "snapshot", function: SNAPSHOT },
  { type: "changed", function: { ...SNAPSHOT, replicas: 0, endpoints: [], problem: "it does not start" } },
  { type: "removed", function: SNAPSHOT },
  { type: "heartbeat" },
];
const HEARTBEAT = '{"type":"heartbeat"}\n';
const STREAMS = [EVENTS.map((event) => `${JSON.stringify(event)}\n`).join("")].map((text) => Buffer.from(text));

function stream(dice: Dice): Buffer {
  if (dice.chance(0.4)) return mutateBytes(STREAMS, dice);
  if (dice.chance(0.05)) return Buffer.alloc(dice.size(8 * 1024 ** 2), dice.pick(["x", "\n", '"', "[", HEARTBEAT]));
  return Buffer.from(`${Array.from({ length: dice.size(20) }, () => mutateJson(EVENTS, dice)).join("\n")}\n`);
}

/** A provider that streams nonsense to a gateway. */
export async function openEndpointsTarget(): Promise<FuzzTarget> {
  const waiting: ((res: ServerResponse) => void)[] = [];
  const provider: Server = createServer((req, res) => {
    if (req.url !== "/system/endpoints") return void res.writeHead(404).end();
    res.writeHead(200, { "content-type": "application/x-ndjson" });
    // A good line first: after one, a gateway comes back soon.
    res.write(HEARTBEAT);
    const next = waiting.shift();
    if (next) next(res);
    else res.end();
  });
  await new Promise<void>((resolve) => provider.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/`;
  const gateway = await startServerProcess("gateway/process/main.ts", {
    functions_provider_url: url,
    queue: "none",
    scale_up_timeout: "100ms",
  });
  const metrics = /"metrics":"(http:[^"]+)"/.exec(gateway.output)?.[1] as string;
  const watch = new Watch({ pid: gateway.pid, output: () => gateway.output }, [`${metrics}/healthz`]);

  return {
    name: "endpoints",
    lanes: 1,
    prepare(dice) {
      const input = stream(dice);
      return {
        input,
        async run() {
          const { promise, resolve } = Promise.withResolvers<ServerResponse>();
          waiting.push(resolve);
          const res = await promise;
          res.end(input);
          const call = ask(`${gateway.url}/function/f`, { signal: AbortSignal.timeout(300) });
          await Promise.all([
            new Promise((done) => res.once("close", done)),
            call.then((answer) => answer.text()).catch(() => undefined),
          ]);
          if (watch.problem !== undefined) throw new Error(watch.problem);
        },
      };
    },
    async close() {
      const gap = watch.takeLargestGap();
      await watch.close();
      await gateway.stop();
      provider.closeAllConnections();
      provider.close();
      process.stdout.write(`  largest gap of the gateway: ${gap.toFixed(0)} ms\n`);
    },
  };
}
