import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { descendants, isRunning, Platform, ROOT, running, temporaryFolder } from "../support/platform.ts";

const HANDLER = `import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
export default async (req, res) => {
  const file = join(process.env.folder, req.url.slice(1));
  if (req.url !== "/") {
    writeFileSync(file + ".begun", "");
    while (!existsSync(file + ".end")) await delay(5);
  }
  res.end("whole");
};
`;

/** Deploys a function whose calls to \`/name\` make a file \`name.begun\` and end once there is \`name.end\`. */
async function deploySlow(platform: Platform, folder: string): Promise<void> {
  await buildImage(platform, "slow:1", {
    "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./slow.mjs" } }),
    "slow.mjs": HANDLER,
  });
  const body = JSON.stringify({ service: "slow", image: "slow:1", envVars: { folder } });
  expect((await platform.control("/system/functions", { method: "POST", body })).status).toBe(202);
  await eventually("it answers", async () => (await fetch(`${platform.url}/function/slow`)).status === 200);
}

test("SIGHUP lets a call under way end, keeps an accepted one and leaves no replica", async () => {
  const folder = await temporaryFolder();
  const dataDir = join(folder.path, "data");
  // Handlers write where the test reads.
  const first = await Platform.start({ dataDir, env: { sandbox: "off", drain_timeout: "3s" } });
  await deploySlow(first, folder.path);
  const call = fetch(`${first.url}/function/slow/now`).then((answer) => answer.text());
  const accepted = await fetch(`${first.url}/async-function/slow/later`, { method: "POST" });
  expect(accepted.status).toBe(202);
  await eventually("both are under way", () =>
    ["now", "later"].every((name) => existsSync(join(folder.path, `${name}.begun`))),
  );
  const pids = await descendants(first.pid);
  first.kill("SIGHUP");
  await eventually("it takes no more", async () => {
    const answer = await fetch(`${first.url}/healthz`).catch(() => undefined);
    return answer?.status !== 200;
  });
  await writeFile(join(folder.path, "now.end"), "");
  expect(await call).toBe("whole");
  expect(await first.ended).toBe(0);
  expect(await running(pids)).toEqual([]);

  await writeFile(join(folder.path, "later.end"), "");
  const second = await Platform.start({ dataDir, env: { sandbox: "off" } });
  const result = `${accepted.headers.get("location")}/result`;
  const body = await eventually(
    "the call has been made",
    async () => {
      const answer = await second.control(result);
      return answer.status === 200 && (await answer.text());
    },
    30_000,
  );
  expect(body).toBe("whole");
  expect(await second.stop()).toBe(0);
  await folder.remove();
});

const needsTerminal = testNeeding(
  spawnSync("script", ["--version"]).status === 0 ? undefined : "there is no script (util-linux)",
);

needsTerminal(
  "a terminal that closes stops the platform that npm has started in it",
  async () => {
    const folder = await temporaryFolder();
    const dataDir = join(folder.path, "data");
    const start = `exec node --disable-warning=ExperimentalWarning ${join(ROOT, "cli/main.ts")} start`;
    const hello = { lang: "node", image: "hello:latest", handler: "./hello" };
    const stack = { version: "1.0", provider: { name: "openfaas" }, functions: { hello } };
    await cp(join(ROOT, "functions/hello"), join(folder.path, "hello"), { recursive: true });
    await writeFile(join(folder.path, "stack.yml"), JSON.stringify(stack));
    await writeFile(join(folder.path, "package.json"), JSON.stringify({ scripts: { start } }));
    const terminal = spawn("script", ["--quiet", "--flush", "--command", "npm start --silent", "/dev/null"], {
      cwd: folder.path,
      stdio: ["pipe", "pipe", "ignore"],
      detached: true,
      env: {
        PATH: `${join(ROOT, "node_modules/.bin")}:${process.env.PATH}`,
        HOME: process.env.HOME,
        SHELL: "/bin/sh",
        port: "0",
        metrics_port: "0",
        provider_port: "0",
        data_dir: dataDir,
        stack_file: "stack.yml",
      },
    });
    try {
      let said = "";
      terminal.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
      await eventually("it runs", () => said.includes("Ctrl-C"), 20_000);
      const url = /running at (http:[^\s]+)/.exec(said)?.[1];
      await eventually("it answers", async () => (await fetch(`${url}/function/hello`)).status === 200);
      const pids = await descendants(terminal.pid as number);
      expect(pids.length).toBeGreaterThan(3);
      close(terminal);
      await eventually("all have ended", async () => (await running(pids)).length === 0, 15_000);
      // Nobody has had to clear up: the folder is free for the next start.
      const next = await Platform.start({ dataDir });
      expect(await next.stop()).toBe(0);
    } finally {
      if (await isRunning(terminal.pid as number)) close(terminal);
      await folder.remove();
    }
  },
  60_000,
);

/** Takes away the terminal itself, as a window that is closed does. */
function close(terminal: ChildProcess): void {
  terminal.kill("SIGKILL");
}
