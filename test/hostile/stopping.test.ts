import { connect } from "node:net";
import { expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

/** `drain_timeout` holds, whoever does not want the platform to stop. */
test.each<[what: string, ...requests: string[]]>([
  ["tunnels and unfinished requests", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HT", "GET /system/logs?"],
  ["calls of a function that never answers", "GET /function/mute HTTP/1.1\r\nHost: x\r\n\r\n"],
  [
    "uploads that stall",
    "POST /function/mute HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbegun",
    "POST /async-function/mute HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbegun",
  ],
  ["callers that wait for a call's end", "GET /async-function/none?wait=60s HTTP/1.1\r\nHost: x\r\n\r\n"],
])("%s do not keep the platform from stopping", async (_what, ...requests) => {
  const folder = await temporaryFolder();
  const platform = await Platform.start({ dataDir: folder.path, env: { drain_timeout: "1s" } });
  await buildImage(platform, "mute:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./mute.mjs", write_timeout: "10m" } }),
    "mute.mjs": 'export default (req, res) => { if (req.url === "/up") res.end("up"); };\n',
  });
  const body = JSON.stringify({ service: "mute", image: "mute:1" });
  expect((await platform.control("/system/functions", { method: "POST", body })).status).toBe(202);
  await eventually("it is up", async () => (await fetch(`${platform.url}/function/mute/up`)).status === 200);
  const sockets = requests.flatMap((request) =>
    Array.from({ length: 5 }, () => {
      const socket = connect(platform.port, "127.0.0.1").on("error", () => {});
      socket.write(request);
      return socket.pause();
    }),
  );
  await eventually("they are there", () => sockets.every(({ connecting }) => !connecting));
  const startedAt = performance.now();
  expect(await platform.stop()).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  for (const socket of sockets) socket.destroy();
  await folder.remove();
});
