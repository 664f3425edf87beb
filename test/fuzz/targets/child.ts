import { eventually } from "../../support/eventually.ts";
import { FakeProvider } from "../../support/fake-provider.ts";
import { descendants } from "../../support/platform.ts";
import { carryOut } from "../../support/rough-connection.ts";
import { startServerProcess } from "../../support/server-process.ts";
import { writeAnswer } from "../answers.ts";
import { ask } from "../ask.ts";
import { ChildServer } from "../child-server.ts";
import { planFor } from "../plan.ts";
import type { PlatformUnderFuzz } from "../platform-under-fuzz.ts";
import type { FuzzTarget } from "../target.ts";
import { Watch } from "../watch.ts";

const ANSWER =
  /^HTTP\/1\.1 [1-9]\d\d [\t -~\x80-\xff]*\r\n([!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t -~\x80-\xff]*\r\n)*(\r\n|$)/;

/**
 * Answers of a function's own server: behind the watchdog through the gateway and the provider, and straight behind each
 * of the two, as on clusters.
 */
export async function openChildTarget({ platform, deploy }: PlatformUnderFuzz): Promise<FuzzTarget> {
  const child = await ChildServer.open();
  const upstream = { upstream_url: `http://${child.address}`, upstream_external: "true" };
  await deploy("odd", { mode: "http", fprocess: "sleep 100000", ...upstream });
  const bareProvider = await startServerProcess("test/fuzz/bare-provider.ts", { odd_address: child.address });
  const fake = await FakeProvider.open();
  fake.put({ name: "odd", endpoints: [{ address: child.address, instance: "odd", state: "ready" }] });
  const env = { functions_provider_url: fake.url.href, queue: "none", log_level: "info" };
  const bareGateway = await startServerProcess("gateway/process/main.ts", env);
  // Whatever becomes of calls to that function.
  const metrics = /"metrics":"(http:[^"]+)"/.exec(bareGateway.output)?.[1] as string;
  const watches = [
    new Watch({ pid: bareProvider.pid, output: () => bareProvider.output }, [`${bareProvider.url}/healthz`]),
    new Watch({ pid: bareGateway.pid, output: () => bareGateway.output }, [`${metrics}/healthz`]),
  ];
  const ports = [
    platform.port,
    platform.providerPort,
    ...[bareProvider, bareGateway].map(({ url }) => Number(new URL(url).port)),
  ];
  const call = async (port: number) => (await ask(`http://127.0.0.1:${port}/function/odd/well`)).text();
  for (const port of ports) await call(port);
  const processes = String((await descendants(platform.pid)).sort());
  let last = 0;

  const checkProcesses = async () => {
    const now = String((await descendants(platform.pid)).sort());
    if (now !== processes) throw new Error(`functions have been started anew: ${processes}, then ${now}`);
    for (const watch of watches) if (watch.problem !== undefined) throw new Error(watch.problem);
  };

  return {
    name: "child",
    lanes: 8,
    prepare(dice) {
      const path = `/case${last++}`;
      const input = writeAnswer(dice);
      const plan = planFor(input, dice);
      const port = dice.pick(ports);
      const method = dice.pick(["GET", "GET", "GET", "HEAD", "POST"]);
      const length = method === "POST" ? "Content-Length: 2\r\n\r\nhi" : "\r\n";
      const head = `${method} /function/odd${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${length}`;
      const call = {
        pieces: [{ bytes: Buffer.from(head), pauseMs: 0 }],
        end: "wait",
        deaf: false,
        waitMs: plan.waitMs + 200,
      } as const;
      return {
        input,
        async run() {
          child.plans.set(path, plan);
          try {
            const answer = await carryOut(port, call);
            if (answer !== "" && !ANSWER.test(answer))
              throw new Error(`no answer of HTTP: ${JSON.stringify(answer.slice(0, 500))}`);
            for (const watch of watches) if (watch.problem !== undefined) throw new Error(watch.problem);
          } finally {
            child.plans.delete(path);
          }
        },
      };
    },
    tidy: checkProcesses,
    async close() {
      // A kept connection may hold the rest of an answer; it spoils one call.
      for (const port of ports) {
        await eventually("the function answers again", async () => (await call(port)) === "well");
      }
      const gaps = watches.map((watch) => watch.takeLargestGap());
      await Promise.all(watches.map((watch) => watch.close()));
      await Promise.all([bareGateway.stop(), bareProvider.stop()]);
      await fake.close();
      child.close();
      process.stdout.write(
        `  largest gap of the bare gateway and provider: ${gaps.map((gap) => gap.toFixed(0)).join(", ")} ms\n`,
      );
    },
  };
}
