import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "@jest/globals";
import type { Env } from "../../kit/env.ts";
import { loadProviderConfig } from "../../provider/config.ts";
import { ROOT } from "../support/platform.ts";

test("without any setting there is a default for each", () => {
  expect(loadProviderConfig({})).toMatchObject({
    port: 8081,
    bindAddress: "127.0.0.1",
    backend: "local",
    dataDir: resolve(".faaslane"),
    defaultNamespace: "openfaas-fn",
    basicAuth: true,
    secretMountPath: "/run/secrets/",
    writeTimeoutMs: Number.POSITIVE_INFINITY,
    build: { timeoutMs: 600_000, maxContextBytes: 256 * 1024 ** 2 },
    logLevel: "info",
  });
});

test.each<[env: Env, port: number]>([
  [{ port: "9000" }, 9000],
  [{ provider_port: "9001" }, 9001],
  [{ port: "9000", provider_port: "9001" }, 9001],
  [{ port: "9000", provider_port: "0" }, 0],
])("%j listens on %d", (env, port) => {
  expect(loadProviderConfig(env).port).toBe(port);
});

test.each([
  [undefined, 168 * 3600e3],
  ["1m", 60e3],
  ["720h", 720 * 3600e3],
  ["90", 90e3],
  ["forever", Number.POSITIVE_INFINITY],
])("image_keep=%s keeps images for %d ms", (text, keepMs) => {
  expect(loadProviderConfig({ image_keep: text }).imageKeepMs).toBe(keepMs);
});

test.each(["0", "59s", "-1h", "7d", "never", "1e9", "9".repeat(40)])("image_keep=%s is refused", (text) => {
  expect(() => loadProviderConfig({ image_keep: text })).toThrow(
    "image_keep: must be forever, or a duration of at least 1m",
  );
});

test("basic auth is off only when it is switched off", () => {
  expect(loadProviderConfig({ basic_auth: "" }).basicAuth).toBe(true);
  expect(loadProviderConfig({ basic_auth: "false" }).basicAuth).toBe(false);
  expect(() => loadProviderConfig({ basic_auth: "no" })).toThrow("basic_auth: must be true or false");
});

test("functions inherit paths and locale, nothing else", () => {
  const { environment } = loadProviderConfig({ PATH: "/bin", TZ: "UTC", password: "hunter2", log_level: "warn" });
  expect(environment).toEqual({ PATH: "/bin", TZ: "UTC" });
});

test("every bad variable is named at once", () => {
  const bad = {
    port: "x",
    backend: "docker",
    read_timeout: "soon",
    build_max_bytes: "big",
    build_concurrency: "0",
    log_level: "loud",
  };
  expect(() => loadProviderConfig(bad)).toThrow(
    [
      "bad settings:",
      "  port: must be a port from 0 to 65535",
      "  backend: must be one of local, kubernetes",
      "  read_timeout: must be a duration such as 30, 1m30s or 250ms",
      "  build_max_bytes: must be a size such as 1048576, 1Mi or 500k",
      "  build_concurrency: must be a whole number of at least 1",
      "  log_level: must be one of debug, info, warn, error, silent",
    ].join("\n"),
  );
});

test("what leads package managers out is for install steps alone", () => {
  const { environment, stepEnvironment } = loadProviderConfig({
    PATH: "/bin",
    https_proxy: "http://proxy",
    OTHER: "1",
  });
  expect(stepEnvironment).toMatchObject({ PATH: "/bin", https_proxy: "http://proxy" });
  expect(environment).not.toHaveProperty("https_proxy");
  expect(stepEnvironment).not.toHaveProperty("OTHER");
});

test.each([
  ["registry.example", "registry.example"],
  ["localhost:5000/team/", "localhost:5000/team"],
])("images may go to %s", (text, registry) => {
  expect(loadProviderConfig({ registry: text }).images).toMatchObject({ registry });
});

test.each(["team", "registry.example/Team", "registry.example/x:1", "https://registry.example", "a b.c"])(
  "%s is no registry",
  (registry) => {
    expect(() => loadProviderConfig({ registry })).toThrow(/registry: must be a registry, with a path/);
  },
);

test("the README lists the variables that are read, no more and no fewer", () => {
  const asked = new Set<string>();
  const spy = new Proxy({} as Env, {
    get: (_env, name) => {
      asked.add(String(name));
      return undefined;
    },
  });
  loadProviderConfig(spy);
  const readme = readFileSync(join(ROOT, "provider/README.md"), "utf8");
  const section = readme.slice(readme.indexOf("## Variables"), readme.indexOf("## Limits"));
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  const listed = rows.flatMap((row) =>
    [...(row.split("|")[1] as string).matchAll(/`(\w+)`/g)].map((match) => match[1]),
  );
  expect(listed.sort()).toEqual([...asked].sort());
});
