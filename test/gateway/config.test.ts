import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { loadConfig } from "../../gateway/config.ts";
import type { Env } from "../../provider/kit/env.ts";
import { ROOT } from "../support/platform.ts";

test("without variables, the defaults hold", () => {
  expect(loadConfig({})).toMatchObject({
    port: 8080,
    metricsPort: 8082,
    bindAddress: "127.0.0.1",
    basicAuth: true,
    upstreamTimeoutMs: 60_000,
    async: { kind: "embedded", path: ".faaslane/queue.db" },
  });
});

test("values are parsed as OpenFaaS writes them", () => {
  const config = loadConfig({
    port: "9000",
    functions_provider_url: "http://provider:8081",
    upstream_timeout: "1m30s",
    read_timeout: "45",
    queue: "none",
    basic_auth: "false",
  });
  expect(config).toMatchObject({
    port: 9000,
    upstreamTimeoutMs: 90_000,
    readTimeoutMs: 45_000,
    async: { kind: "none" },
  });
  expect([config.providerUrl.href, config.basicAuth]).toEqual(["http://provider:8081/", false]);
});

test("every bad variable is named with its rule, in one error", () => {
  const bad = {
    port: "65536",
    functions_provider_url: "provider",
    upstream_timeout: "-1s",
    basic_auth: "yes",
    queue: "redis",
    async_concurrency: "0",
    async_max_body: "10MB",
    retry_http_codes: "500,abc",
    log_level: "loud",
  };
  let message = "";
  try {
    loadConfig(bad);
  } catch (error) {
    message = (error as Error).message;
  }
  for (const name of Object.keys(bad)) expect(message).toContain(`${name}: must `);
});

test("the README lists the variables that are read, no more and no fewer", () => {
  const asked = new Set<string>();
  const spy = new Proxy({} as Env, {
    get: (_env, name) => {
      asked.add(String(name));
      return undefined;
    },
  });
  loadConfig(spy);
  const readme = readFileSync(join(ROOT, "gateway/README.md"), "utf8");
  const section = readme.slice(readme.indexOf("## Variables"), readme.indexOf("## Limits"));
  const listed = [...section.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1]);
  expect(listed.sort()).toEqual([...asked].sort());
});
