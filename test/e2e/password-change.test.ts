import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

/** Gateway and provider with a folder of secrets each, as on two nodes. */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let provider: ServerProcess;
let gateway: ServerProcess;

const start = async (overlap: string) => {
  const env = (process: string) => ({
    basic_auth: "true",
    secret_mount_path: join(folder.path, process),
    password_overlap: overlap,
  });
  provider = await startServerProcess("provider/main.ts", {
    ...env("provider"),
    data_dir: join(folder.path, "provider-data"),
  });
  gateway = await startServerProcess("gateway/process/main.ts", {
    ...env("gateway"),
    functions_provider_url: provider.url,
    data_dir: join(folder.path, "gateway-data"),
  });
  expect(await ask(gateway, "first")).toBe(200);
};

const setPassword = async (process: "gateway" | "provider", password: string) => {
  await mkdir(join(folder.path, process), { recursive: true });
  await writeFile(join(folder.path, process, "basic-auth-user"), "admin");
  await writeFile(join(folder.path, process, "basic-auth-password"), password);
};

const ask = async ({ url }: ServerProcess, password: string, init: RequestInit = {}) => {
  const authorization = `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`;
  const headers = { authorization, "content-type": "application/json" };
  return (await fetch(`${url}/system/namespaces`, { ...init, headers })).status;
};

beforeEach(async () => {
  folder = await temporaryFolder();
  await setPassword("gateway", "first");
  await setPassword("provider", "first");
});

afterEach(async () => {
  await gateway?.stop();
  await provider?.stop();
  await folder.remove();
});

test.each([
  ["gateway", "provider"],
  ["provider", "gateway"],
] as const)("a new password that the %s sees before the %s", async (first, second) => {
  await start("0");
  await setPassword(first, "second");
  const changed = first === "gateway" ? gateway : provider;
  await eventually("it is seen there", () => changed.output.includes("the credentials have changed"));
  expect(await ask(changed, "second")).toBe(200);
  expect(await ask(changed, "first")).toBe(401);
  // The gateway goes by the one before for as long as the provider knows no other.
  if (first === "gateway") for (let i = 0; i < 30; i++) expect(await ask(gateway, "second")).toBe(200);
  await setPassword(second, "second");
  await eventually("all have seen it", () => [gateway, provider].every((it) => it.output.includes("have changed")));
  expect(await ask(gateway, "second")).toBe(200);
  expect([await ask(gateway, "first"), await ask(provider, "first")]).toEqual([401, 401]);
  expect(gateway.output + provider.output).toContain("the credentials have changed");
  expect(gateway.output + provider.output).not.toMatch(/"[^"]*(second|Basic )/);
});

test("both passwords hold while a change is under way, at both, and none that is wrong", async () => {
  await start("1h");
  await setPassword("gateway", "second");
  await setPassword("provider", "second");
  await eventually("all have seen it", () => [gateway, provider].every((it) => it.output.includes("have changed")));
  for (const process of [gateway, provider]) {
    const statuses = [];
    for (const password of ["first", "second", "third", ""]) statuses.push(await ask(process, password));
    expect(statuses).toEqual([200, 200, 401, 401]);
  }
});

test("who has tried wrong passwords too often gets in with the new one", async () => {
  await start("1m");
  for (let i = 0; i < 30; i++) await ask(gateway, "second");
  expect(await ask(gateway, "second")).toBe(429);
  await setPassword("gateway", "second");
  await setPassword("provider", "second");
  await eventually("it holds", async () => (await ask(gateway, "second")) === 200);
});
