import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { loadProviderConfig } from "../../provider/config.ts";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { testNeeding } from "../support/needing.ts";
import { descendants, Platform, ROOT, running, temporaryFolder } from "../support/platform.ts";

const INSTALLED = "/opt/faaslane";
const text = readFileSync(join(ROOT, "deploy/systemd/faaslane.service"), "utf8");

/** Settings of the unit by name, all their values in order. */
const settings = new Map<string, string[]>();
for (const [, name = "", value = ""] of text.matchAll(/^(\w+)=(.*)$/gm)) {
  settings.set(name, [...(settings.get(name) ?? []), value]);
}
const one = (name: string) => settings.get(name)?.join("\n");
const environment = Object.fromEntries(
  (settings.get("Environment") ?? []).map((line) => [
    line.slice(0, line.indexOf("=")),
    line.slice(line.indexOf("=") + 1),
  ]),
);

const analyzer = spawnSync("systemd-analyze", ["--version"]).error ? "systemd-analyze is not installed" : undefined;

testNeeding(analyzer)("systemd finds nothing wrong with the unit", async () => {
  const folder = await temporaryFolder();
  const unit = join(folder.path, "faaslane.service");
  await writeFile(unit, text.replaceAll(`${INSTALLED}/`, ROOT));
  const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", unit], { encoding: "utf8" });
  expect([status, stdout, stderr]).toEqual([0, "", ""]);
  // It is one that says when something is.
  await writeFile(unit, text.replace("KillMode=mixed", "KillMod=mixed").replaceAll(`${INSTALLED}/`, ROOT));
  expect(spawnSync("systemd-analyze", ["verify", unit], { encoding: "utf8" }).stderr).toContain("KillMod");
  await folder.remove();
});

test("every path of the installation that the unit names exists", () => {
  const paths = [...text.matchAll(/\/opt\/faaslane\/([^\s]+)/g)].map(([, path = ""]) => path);
  expect(paths).toEqual(expect.arrayContaining(["cli/main.ts", "node_modules/.bin/node"]));
  expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test("every variable that the unit sets is read, and taken", () => {
  const asked = new Set(["stack_file", "NODE_COMPILE_CACHE"]);
  const env = new Proxy(environment, {
    get: (target, name) => {
      asked.add(String(name));
      return target[String(name)];
    },
  });
  expect([loadGatewayConfig(env).drainTimeoutMs, loadProviderConfig(env).drainTimeoutMs]).toEqual([30_000, 30_000]);
  expect(Object.keys(environment).filter((name) => !asked.has(name))).toEqual([]);
});

test("what is written is where the unit lets it be written, and there is time to drain", () => {
  expect(environment.data_dir).toBe(`/var/lib/${one("StateDirectory")}`);
  expect(one("WorkingDirectory")).toBe(environment.data_dir);
  expect(environment.NODE_COMPILE_CACHE).toBe(`/var/cache/${one("CacheDirectory")}`);
  // Beside the drain, closing takes up to 5 s.
  expect(Number(one("TimeoutStopSec"))).toBeGreaterThan(loadGatewayConfig(environment).drainTimeoutMs / 1000 + 8);
});

test("nothing is in it that the sandbox, control groups or V8 could not live with, as the guide says", async () => {
  const guide = await readFile(join(ROOT, "docs/systemd.md"), "utf8");
  const out = guide.slice(guide.indexOf("Left out on purpose"));
  const names = [...out.matchAll(/`([A-Z]\w+)`/g)].map(([, name = ""]) => name).filter((name) => name !== "V8");
  expect(names.length).toBeGreaterThan(7);
  expect(names.filter((name) => settings.has(name))).toEqual([]);
  expect([one("Delegate"), one("KillMode"), one("OOMPolicy")]).toEqual(["yes", "mixed", "continue"]);
});

function whyNoPrivilegesToDrop(): string | undefined {
  if (process.geteuid?.() !== 0) return "only root can become another user";
  if (spawnSync("setpriv", ["--version"]).error) return "there is no setpriv (util-linux)";
  const read = `require("fs").accessSync(${JSON.stringify(join(ROOT, "cli/main.ts"))})`;
  if (spawnSync("setpriv", [...dropped(65534), process.execPath, "-e", read]).status !== 0) {
    return "this checkout is closed to other users";
  }
  const tried = spawnSync("setpriv", [...dropped(65534), "bwrap", "--unshare-user", "--ro-bind", "/", "/", "true"]);
  if (tried.status === 0) return undefined;
  return `bubblewrap does not work here for other users: ${tried.stderr}`.trim();
}

/** What the unit takes away from the service, as far as it can be had without systemd. */
function dropped(uid: number): string[] {
  return [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--bounding-set=-all", "--no-new-privs"];
}

testNeeding(whyNoPrivilegesToDrop())(
  "functions are behind their wall for a user without privileges, nor a way to any",
  async () => {
    expect([one("NoNewPrivileges"), one("CapabilityBoundingSet")]).toEqual(["yes", ""]);
    const folder = await temporaryFolder();
    const dataDir = join(folder.path, "state");
    await mkdir(dataDir);
    for (const path of [folder.path, dataDir]) await chown(path, 65534, 65534);
    const prefix = ["setpriv", ...dropped(65534)];
    const env = { sandbox: "required", HOME: dataDir };
    const platform = await Platform.start({ dataDir, cwd: folder.path, prefix, env });
    await buildImage(platform, "f:1", {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./f.mjs" } }),
      "f.mjs": "export default (req, res) => res.end('behind');\n",
    });
    const body = JSON.stringify({ service: "f", image: "f:1" });
    expect((await platform.control("/system/functions", { method: "POST", body })).status).toBe(202);
    await eventually("it answers", async () => (await fetch(`${platform.url}/function/f`)).status === 200, 20_000);
    const status = (await (await platform.control("/system/function/f")).json()) as { sandbox: string };
    expect(status.sandbox).toMatch(/^bubblewrap/);
    const pids = await descendants(platform.pid);
    expect(await platform.stop()).toBe(0);
    expect(await running(pids)).toEqual([]);
    await folder.remove();
  },
);
