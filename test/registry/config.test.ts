import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import type { Env } from "../../kit/env.ts";
import { loadInnerRegistryConfig, loadRegistryConfig } from "../../registry/config.ts";
import { ROOT } from "../support/platform.ts";

test("every bad variable is named", () => {
  const bad = {
    registry_port: "x",
    registry_max_uploads: "0",
    registry_grace: "1s",
    registry_keep_untagged: "long",
    registry_anonymous_pull: "yes",
  };
  const problems = [
    "bad settings:",
    "  registry_port: must be a port from 0 to 65535",
    "  registry_anonymous_pull: must be true or false",
    "  registry_max_uploads: must be a whole number of at least 1",
    "  registry_grace: must be at least 1m",
    "  registry_keep_untagged: must be a duration such as 30, 1m30s or 250ms",
  ].join("\n");
  expect(() => loadRegistryConfig(bad)).toThrow(problems);
  expect(() => loadInnerRegistryConfig(bad)).toThrow(problems);
});

test("beside a gateway there is one only if it has a port, and the gateway's own are not its", () => {
  const gateway = { port: "8080", bind_address: "0.0.0.0" };
  expect(loadInnerRegistryConfig(gateway)).toBeUndefined();
  const inner = loadInnerRegistryConfig({ ...gateway, registry_port: "5001" });
  expect(inner).toMatchObject({ port: 5001, bindAddress: "127.0.0.1" });
  expect(loadRegistryConfig({ bind_address: "0.0.0.0:5002" })).toMatchObject({ port: 5002, bindAddress: "0.0.0.0" });
});

test("the README lists the variables that are read, no more and no fewer", () => {
  const asked = new Set<string>();
  const spy = new Proxy({} as Env, {
    get: (_env, name) => {
      asked.add(String(name));
      return undefined;
    },
  });
  loadRegistryConfig(spy);
  const readme = readFileSync(join(ROOT, "registry/README.md"), "utf8");
  const section = readme.slice(readme.indexOf("## Variables"), readme.indexOf("## Limits"));
  const listed = section
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .flatMap((row) => [...(row.split("|")[1] as string).matchAll(/`(\w+)`/g)].map((match) => match[1]));
  expect(listed.sort()).toEqual([...asked].sort());
});
