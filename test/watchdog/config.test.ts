import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { exitCodeOf, loadWatchdogConfig } from "../../watchdog/config.ts";
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
    write_timeout: "0",
    log_buffer_size: "x",
    upstream_url: "h",
  };
  expect(() => loadWatchdogConfig(bad)).toThrow(ConfigError);
  for (const name of [...Object.keys(bad).slice(1), "fprocess"]) {
    expect(() => loadWatchdogConfig(bad)).toThrow(new RegExp(`^  ${name}: `, "m"));
  }
});

/** What OpenFaaS's watchdogs make of a value, by variable: some are overlooked, and then a note says so. */
test.each<[env: Env, expected: object, noted: readonly string[]]>([
  [{ mode: "classic", combine_output: "1" }, { mode: { combineOutput: false } }, ["combine_output"]],
  [{ mode: "classic", cgi_headers: "yes" }, { mode: { cgiHeaders: false } }, ["cgi_headers"]],
  [{ mode: "classic", marshal_request: "True" }, { mode: { marshalRequest: false } }, ["marshal_request"]],
  [{ mode: "classic", write_debug: "false" }, { mode: { writeDebug: false } }, []],
  [{ mode: "classic", suppress_lock: "1" }, { suppressLock: false }, ["suppress_lock"]],
  [{ mode: "classic", port: "x" }, { port: 8080 }, ["port"]],
  [{ mode: "classic", write_timeout: "0" }, { writeTimeoutMs: 2 ** 31 - 1, healthcheckIntervalMs: 0 }, []],
  [{ mode: "streaming", suppress_lock: "1" }, { suppressLock: true }, []],
  [{ mode: "streaming", prefix_logs: "no" }, { prefixLogs: true }, ["prefix_logs"]],
  [{ mode: "streaming", prefix_logs: "f" }, { prefixLogs: false }, []],
  [{ mode: "streaming", max_inflight: "many" }, { maxInflight: 0 }, ["max_inflight"]],
  [{ mode: "streaming", max_inflight: "-1" }, { maxInflight: 0 }, ["max_inflight"]],
  [{ mode: "streaming", read_timeout: "soon" }, { readTimeoutMs: 30_000 }, ["read_timeout"]],
  [{ mode: "streaming", exec_timeout: "5min" }, { execTimeoutMs: 30_000 }, ["exec_timeout"]],
  [{ mode: "streaming", exec_timeout: "-1s" }, { execTimeoutMs: 0 }, []],
  [{ mode: "streaming", write_timeout: "x" }, { writeTimeoutMs: 30_000 }, ["write_timeout"]],
  [{ mode: "streaming", healthcheck_interval: "0s" }, { healthcheckIntervalMs: 0 }, []],
  [{ mode: "streaming", log_callid: "1" }, { logCallId: true, accessLog: true }, []],
  [{ mode: "static" }, { mode: { folder: "/home/app/public" } }, []],
])("%j", (env, expected, noted) => {
  const config = loadWatchdogConfig({ fprocess: "cat", ...env });
  expect(config).toMatchObject(expected);
  expect(config.notes.map((note) => note.split(":")[0])).toEqual(noted);
});

test.each<[env: Env, code: number]>([
  [{ mode: "classic" }, 2],
  [{}, 1],
  [{ mode: "nonsense", fprocess: "cat" }, 2],
  [{ mode: "http", fprocess: "cat" }, 1],
  [{ fprocess: "cat", write_timeout: "0" }, 1],
])("what ends with %j ends with %i", (env, code) => {
  let failure: unknown;
  try {
    loadWatchdogConfig(env);
  } catch (error) {
    failure = error;
  }
  expect(exitCodeOf(failure as ConfigError, env)).toBe(code);
});

test.each(["afterburn", "nonsense"])("mode %s is refused", (mode) => {
  expect(() => loadWatchdogConfig({ mode, fprocess: "cat" })).toThrow("mode: must be one of");
});

test("a function that asks for authentication is not served without it", () => {
  const named = { fprocess: "cat", OPENFAAS_NAME: "f", OPENFAAS_NAMESPACE: "ns" };
  const opened = { discoveryUrl: "http://gateway.openfaas:8080/.well-known/openid-configuration", functionId: "ns:f" };
  for (const jwt_auth of ["true", "1", "True"]) {
    expect(loadWatchdogConfig({ ...named, jwt_auth })).toMatchObject({ auth: opened });
  }
  expect(() => loadWatchdogConfig({ ...named, jwt_auth: "yes" })).toThrow("jwt_auth: must be");
  expect(() => loadWatchdogConfig({ fprocess: "cat", jwt_auth: "true" })).toThrow("OPENFAAS_NAME: is required");
  expect(loadWatchdogConfig({ ...named, jwt_auth: "1", jwt_auth_local: "1" }).auth?.discoveryUrl).toBe(
    "http://127.0.0.1:8000/.well-known/openid-configuration",
  );
  expect(loadWatchdogConfig(named).auth).toBeUndefined();
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
  for (const mode of ["http", "streaming", "classic", "inproc", "static"]) {
    loadWatchdogConfig(watch({ mode, inproc_handler: "./h.mjs", fprocess: "cat", upstream_url: "http://h:1" }));
  }
  const readme = readFileSync(new URL("../../watchdog/README.md", import.meta.url), "utf8");
  const table = readme.slice(readme.indexOf("## Variables"), readme.indexOf("## Under a supervisor"));
  const documented = [...table.matchAll(/^\| `(\w+)`\s+\|/gm)].map((match) => match[1]);
  expect(documented.sort()).toEqual([...read].sort());
});
