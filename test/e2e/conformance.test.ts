import { spawn } from "node:child_process";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Platform, ROOT, temporaryFolder } from "../support/platform.ts";

/* The conformance suite against a gateway that it has not started: one of faaslane, and one that says that it is not. */

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: folder.path, env: { upstream_timeout: "3s" } });
}, 60_000);

afterAll(async () => {
  await platform?.stop();
  await folder?.remove();
});

/** Runs it with `env`, and without what is set for this run. */
async function run(env: Readonly<Record<string, string>>): Promise<{ code: number | null; output: string }> {
  const jest = ["--experimental-vm-modules", "--disable-warning=ExperimentalWarning", "node_modules/jest/bin/jest.js"];
  const child = spawn(process.execPath, [...jest, "--runInBand", "--colors=false", "test/conformance/"], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const read = (text: string) => {
    output += text;
  };
  child.stdout.setEncoding("utf8").on("data", read);
  child.stderr.setEncoding("utf8").on("data", read);
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, output };
}

/** Without what is said of the tests that were skipped. */
const failuresOf = (output: string) => output.split("\nSkipped:")[0]?.slice(-6000);

/** Whose password is in the URL. */
async function urlOf(port: number): Promise<string> {
  const [, encoded = ""] = (await platform.authorization()).split(" ");
  const [user, password = ""] = Buffer.from(encoded, "base64").toString().split(":");
  return `http://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}`;
}

test("a gateway of faaslane passes every row, and has nothing left of it after", async () => {
  const { code, output } = await run({
    CONFORMANCE_URL: await urlOf(platform.port),
    CONFORMANCE_METRICS_URL: platform.metricsUrl,
    CONFORMANCE_UPSTREAM_TIMEOUT: "3s",
  });
  expect([code, code === 0 ? "" : failuresOf(output)]).toEqual([0, ""]);
  expect(output).not.toContain("Skipped:");
  for (const path of ["/system/functions", "/system/secrets"]) {
    expect(await (await platform.control(path)).json()).toEqual([]);
  }
  expect(await (await platform.control("/system/namespaces")).json()).toEqual(["openfaas-fn"]);
}, 300_000);

/** A door to the platform behind which it goes by another name, of the same length. */
async function openDisguise(): Promise<Server> {
  const server = createServer((client) => {
    const gateway = connect(platform.port, "127.0.0.1");
    client.pipe(gateway);
    gateway.on("data", (bytes) => {
      const text = bytes.toString("latin1").replaceAll("faaslane 0.", "anothers 0.").replaceAll('"build"', '"bxxxx"');
      client.write(Buffer.from(text, "latin1"));
    });
    gateway.on("close", () => client.destroy());
    client.on("close", () => gateway.destroy());
    gateway.on("error", () => {});
    client.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

test("a gateway that is not faaslane is not asked where we do better, and is told why", async () => {
  const disguise = await openDisguise();
  try {
    const { code, output } = await run({
      CONFORMANCE_URL: await urlOf((disguise.address() as AddressInfo).port),
      // Built by the run before.
      CONFORMANCE_ECHO_IMAGE: "docker.io/local/greet:1",
      CONFORMANCE_REFLECT_IMAGE: "docker.io/local/reflect:1",
    });
    expect([code, code === 0 ? "" : failuresOf(output)]).toEqual([0, ""]);
    expect(output).toMatch(
      /not faaslane, which does better: a timeout says that it is one, in words; the original: 502/,
    );
    expect(output).toContain("needs CONFORMANCE_METRICS_URL");
  } finally {
    disguise.close();
  }
}, 300_000);

test("a wrong password ends the run before it changes anything", async () => {
  const { code, output } = await run({ CONFORMANCE_URL: platform.url, CONFORMANCE_PASSWORD: "wrong" });
  expect(code).not.toBe(0);
  expect(output).toContain("refuses the user or password");
}, 120_000);
