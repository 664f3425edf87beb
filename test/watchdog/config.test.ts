import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { loadWatchdogConfig } from "../../watchdog/config.ts";
import { ConfigError, type Env } from "../../watchdog/env.ts";

const http = { mode: "http", fprocess: "python3 index.py", upstream_url: "http://127.0.0.1:0" };

test("a program alone is enough", () => {
  expect(loadWatchdogConfig({ fprocess: "cat" })).toMatchObject({
    mode: { kind: "streaming", command: ["cat"], contentType: "application/octet-stream" },
    port: 8080,
    metricsPort: 8081,
    readTimeoutMs: 30_000,
    writeTimeoutMs: 30_000,
    execTimeoutMs: 30_000,
    healthcheckIntervalMs: 30_000,
    maxInflight: 0,
    lockFile: "/tmp/.lock",
    prefixLogs: true,
    logLineBytes: 65_536,
  });
});

test.each<[rule: string, env: Env, expected: object]>([
  ["classic has no time limit of its own", { mode: "classic", fprocess: "cat" }, { execTimeoutMs: 0 }],
  ["health waits as long as an answer may take", { ...http, write_timeout: "5s" }, { healthcheckIntervalMs: 5000 }],
  ["the lock file follows TMPDIR", { ...http, TMPDIR: "/run/x" }, { lockFile: "/run/x/.lock" }],
  ["an empty variable is not set", { ...http, port: "" }, { port: 8080 }],
  ["-1 is the longest log line, not endless", { ...http, log_buffer_size: "-1" }, { logLineBytes: 16_777_216 }],
  ["function_process wins", { ...http, function_process: "b" }, { mode: { command: ["b"] } }],
  ["http_upstream_url wins", { ...http, http_upstream_url: "http://h:1" }, { mode: { upstream: { host: "h" } } }],
  ["buffer_http is an alias", { ...http, buffer_http: "1" }, { mode: { bufferBody: true } }],
  ["log_callid is an alias", { ...http, log_callid: "true" }, { logCallId: true }],
  ["inproc needs no program", { mode: "inproc", inproc_handler: "./h.mjs" }, { mode: { handler: "./h.mjs" } }],
])("%s", (_rule, env, expected) => {
  expect(loadWatchdogConfig(env)).toMatchObject(expected);
});

test("every bad variable is named at once", () => {
  const bad = {
    mode: "http",
    port: "x",
    read_timeout: "soon",
    write_timeout: "0",
    max_inflight: "-1",
    upstream_url: "h",
  };
  expect(() => loadWatchdogConfig(bad)).toThrow(ConfigError);
  for (const name of [...Object.keys(bad).slice(1), "fprocess"]) {
    expect(() => loadWatchdogConfig(bad)).toThrow(new RegExp(`^  ${name}: `, "m"));
  }
});

test.each(["static", "afterburn", "nonsense"])("mode %s is refused", (mode) => {
  expect(() => loadWatchdogConfig({ mode, fprocess: "cat" })).toThrow("mode: must be one of");
});

test("a function that asks for authentication is not served without it", () => {
  expect(() => loadWatchdogConfig({ fprocess: "cat", jwt_auth: "true" })).toThrow("jwt_auth: is not supported");
});

test("a content type cannot smuggle headers in", () => {
  expect(() => loadWatchdogConfig({ fprocess: "cat", content_type: "a\r\nX-B: c" })).toThrow("content_type");
});

test("the README's table names exactly the variables that are read", () => {
  const read = new Set<string>();
  const watch = (env: Env) =>
    new Proxy(env, {
      get: (target, name: string) => {
        read.add(name);
        return target[name];
      },
    });
  for (const mode of ["http", "streaming", "classic", "inproc"]) {
    loadWatchdogConfig(watch({ mode, inproc_handler: "./h.mjs", fprocess: "cat", upstream_url: "http://h:1" }));
  }
  const readme = readFileSync(new URL("../../watchdog/README.md", import.meta.url), "utf8");
  const table = readme.slice(readme.indexOf("## Variables"), readme.indexOf("## Under a supervisor"));
  const documented = [...table.matchAll(/^\| `(\w+)`\s+\|/gm)].map((match) => match[1]);
  expect(documented.sort()).toEqual([...read].sort());
});
