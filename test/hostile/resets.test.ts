import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { PATHS } from "../../contract/paths.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";

/** Connections that are reset at every stage of every route, on every port: the process lives on. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
let authorization: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: folder.path, env: { log_level: "info" } });
  authorization = await platform.authorization();
  await buildImage(platform, "slow:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./slow.mjs" } }),
    // Answers piece by piece, and resets its own side when asked to.
    "slow.mjs": `export default (req, res) => {
  if (req.url === "/reset") return req.socket.resetAndDestroy();
  res.write("begun");
  if (req.url === "/half") return setImmediate(() => req.socket.resetAndDestroy());
  req.resume().on("end", () => setTimeout(() => res.end("done"), 5));
};
`,
  });
  const body = JSON.stringify({ service: "slow", image: "slow:1" });
  expect((await platform.control("/system/functions", { method: "POST", body })).status).toBe(202);
  await eventually("it answers", async () => (await fetch(`${platform.url}/function/slow`)).status === 200);
});

afterAll(async () => {
  await platform.stop();
  await folder.remove();
});

const PORTS: Readonly<Record<string, () => number>> = {
  gateway: () => platform.port,
  metrics: () => Number(new URL(platform.metricsUrl).port),
  provider: () => platform.providerPort,
};

const ROUTES = [
  ...Object.values(PATHS).map((path) => (path.endsWith("/") ? `${path}slow` : path)),
  `${PATHS.logs}?name=slow&follow=true`,
  "/function/slow",
  "/function/slow/reset",
  "/function/slow/half",
  "/function/none",
  "/async-function/slow",
  "/async-function/none?wait=5s",
  "/metrics",
  "/",
  "/ui/",
];

test.each(Object.keys(PORTS))("resets at every stage of every route of the port of the %s", async (name) => {
  const port = (PORTS[name] as () => number)();
  for (const route of ROUTES) {
    await Promise.all(requestsTo(route).flatMap((request) => resetAll(port, request)));
    expect(platform.stderr).toBe("");
  }
  expect((await fetch(`${platform.url}/function/slow`)).status).toBe(200);
  expect(platform.stdout).not.toMatch(/"level":(50|60)/);
});

function requestsTo(route: string): string[] {
  const head = (line: string, ...headers: string[]) => `${[line, "Host: localhost", ...headers].join("\r\n")}\r\n\r\n`;
  const login = `Authorization: ${authorization}`;
  const chunked = ["Content-Type: application/json", "Transfer-Encoding: chunked"];
  return [
    head(`GET ${route} HTTP/1.1`, login),
    head(`DELETE ${route} HTTP/1.1`, login),
    `${head(`POST ${route} HTTP/1.1`, login, ...chunked)}5\r\n{"a":\r\n3\r\n1}\n\r\n0\r\n\r\n`,
    head(`GET ${route} HTTP/1.1`, login, "Connection: Upgrade", "Upgrade: websocket"),
    head("CONNECT localhost:1 HTTP/1.1", login),
  ];
}

function resetAll(port: number, request: string): Promise<void>[] {
  const headEnd = request.indexOf("\r\n\r\n") + 4;
  const stages = [1, Math.floor(headEnd / 2), headEnd - 1, headEnd, headEnd + 4, request.length - 1, request.length];
  return [...stages.map((bytes) => reset(port, request.slice(0, bytes), "sent")), reset(port, request, "answered")];
}

/** Sends bytes and resets the connection: as soon as they are gone, or when the first byte of an answer is there. */
async function reset(port: number, bytes: string, when: "sent" | "answered"): Promise<void> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write(bytes, () => when === "sent" && socket.resetAndDestroy());
  if (when === "answered") {
    socket.once("data", () => socket.resetAndDestroy());
    socket.setTimeout(500, () => socket.resetAndDestroy());
  }
  await closed;
}
