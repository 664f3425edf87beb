import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { readCredentials } from "../../kit/basic-auth.ts";
import { createLogger } from "../../kit/log.ts";
import { eventually } from "../support/eventually.ts";
import { ScalingPlatform } from "../support/scaling-platform.ts";

/** A second gateway in front of the platform's own provider, whose endpoints stream is hidden from it. */

let functions: ScalingPlatform;
let hiding: Server;
let hides = true;
/** Calls that went through the provider. */
let through = 0;
let gateway: OpenGateway;

beforeEach(async () => {
  functions = await ScalingPlatform.start({ log_level: "info" });
  const { platform, folder } = functions;
  hides = true;
  hiding = createServer((req, res) => {
    if (hides && req.url === "/system/endpoints") {
      res.writeHead(404).end();
      return;
    }
    const { method = "", url = "", headers } = req;
    if (url.startsWith("/function/")) through++;
    const onwards = request(
      { host: "127.0.0.1", port: platform.providerPort, method, path: url, headers },
      (answer) => {
        res.writeHead(answer.statusCode as number, answer.headers).flushHeaders();
        answer.pipe(res);
      },
    );
    onwards.on("error", () => res.destroy());
    res.on("close", () => onwards.destroy());
    req.pipe(onwards);
  });
  await new Promise<void>((resolve) => hiding.listen(0, "127.0.0.1", resolve));
  const data = join(folder, "data");
  const config = loadGatewayConfig({
    port: "0",
    metrics_port: "0",
    queue: "none",
    autoscaling: "false",
    functions_provider_url: `http://127.0.0.1:${(hiding.address() as AddressInfo).port}/`,
  });
  gateway = await openGateway(config, await readCredentials(data), createLogger("silent"));
}, 60_000);

afterEach(async () => {
  await gateway.close();
  hiding.closeAllConnections();
  hiding.close();
  await functions.stop();
}, 60_000);

const call = async () => {
  const answer = await fetch(`${gateway.url}/function/patient`);
  return [answer.status, await answer.text()] as const;
};

test("real functions are called, woken and followed, hidden or not", async () => {
  await functions.deploy("patient");
  await functions.whenScaled("patient", 1);
  await eventually("it is called through the provider", async () => (await call())[0] === 200, 30_000);
  await functions.scale("patient", 0);
  await functions.whenScaled("patient", 0);
  const [status, text] = await call();
  expect([status, text]).toEqual([200, expect.stringMatching(/^\d+ 1\n$/)]);

  hides = false;
  const isDirect = async () => {
    const before = through;
    return (await call())[0] === 200 && through === before;
  };
  await eventually("it is called without the provider's proxy", isDirect, 30_000);
  hides = true;
  hiding.closeAllConnections();
  for (let i = 0; i < 50; i++) expect((await call())[0]).toBe(200);
  await eventually("it is called through it again", async () => !(await isDirect()), 30_000);
  await functions.remove("patient");
  await eventually("it is gone", async () => (await call())[0] === 404, 30_000);
}, 120_000);
