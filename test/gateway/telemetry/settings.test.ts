import { expect, test } from "@jest/globals";
import { parseAccessLog, readTracingConfig } from "../../../gateway/process/telemetry-config.ts";
import { type Env, readEnv } from "../../../kit/env.ts";

const AT = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel:4318" };
const read = (env: Env) => readEnv(env, (reader) => ({ config: readTracingConfig(reader, "faaslane-gateway") })).config;

test.each<[rule: string, env: Env]>([
  ["nothing is set", {}],
  ["no collector is named", { OTEL_TRACES_SAMPLER: "always_on" }],
  ["it is disabled", { ...AT, OTEL_SDK_DISABLED: "TRUE" }],
  ["there is no exporter", { ...AT, OTEL_TRACES_EXPORTER: "none" }],
  ["nothing is sampled", { ...AT, OTEL_TRACES_SAMPLER: "always_off" }],
])("nothing is traced where %s", (_rule, env) => {
  expect(read(env)).toBeUndefined();
});

test("a base has the path of traces added, and a whole URL has not", () => {
  expect(read(AT)?.url.href).toBe("http://otel:4318/v1/traces");
  expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT: "https://otel/base" })?.url.href).toBe("https://otel/base/v1/traces");
  expect(read({ ...AT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://other/in" })?.url.href).toBe("http://other/in");
});

test("what is said of traces counts more than what is said of all", () => {
  const config = read({
    ...AT,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
    OTEL_EXPORTER_OTLP_HEADERS: "Authorization=Bearer%20x",
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: "x-key=a%2Cb, X-Other=c",
    OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
    OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: "none",
    OTEL_EXPORTER_OTLP_TIMEOUT: "1000",
    OTEL_TRACES_SAMPLER: "traceidratio",
    OTEL_TRACES_SAMPLER_ARG: ".25",
    OTEL_RESOURCE_ATTRIBUTES: "service.name=a,deployment.environment.name=test",
    OTEL_BSP_MAX_QUEUE_SIZE: "100",
  });
  expect(config).toMatchObject({
    headers: { "x-key": "a,b", "x-other": "c" },
    gzip: false,
    timeoutMs: 1000,
    sampler: { parentBased: false, ratio: 0.25 },
    resource: { "service.name": "a", "deployment.environment.name": "test" },
    maxQueue: 100,
    maxBatch: 100,
  });
  expect(read({ ...AT, OTEL_SERVICE_NAME: "b", OTEL_RESOURCE_ATTRIBUTES: "service.name=a" })?.resource).toMatchObject({
    "service.name": "b",
  });
});

test.each<[name: string, value: string]>([
  ["OTEL_EXPORTER_OTLP_ENDPOINT", "otel:4318"],
  ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://user:secret@otel"],
  ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"],
  ["OTEL_EXPORTER_OTLP_HEADERS", "x-key: secret"],
  ["OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret%0d%0ax-more: 1"],
  ["OTEL_EXPORTER_OTLP_HEADERS", "x key=secret"],
  ["OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret%"],
  ["OTEL_TRACES_SAMPLER", "jaeger_remote"],
  ["OTEL_TRACES_SAMPLER_ARG", "1.5"],
  ["OTEL_TRACES_SAMPLER_ARG", "-1"],
  ["OTEL_TRACES_SAMPLER_ARG", "half"],
  ["OTEL_SDK_DISABLED", "maybe"],
  ["OTEL_BSP_SCHEDULE_DELAY", "0"],
  ["OTEL_BSP_MAX_QUEUE_SIZE", "1e9"],
  ["OTEL_BSP_MAX_QUEUE_SIZE", "100000000"],
  ["OTEL_EXPORTER_OTLP_TIMEOUT", "99999999999"],
  ["OTEL_RESOURCE_ATTRIBUTES", "=secret"],
])("a bad %s is named with its rule: %s", (name, value) => {
  let message = "";
  try {
    read({ ...AT, [name]: value });
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message).toContain(`${name}: must be`);
  expect(message).not.toContain("secret");
});

test("the access log is switched, or goes to a file", () => {
  expect(["false", "true", "/var/log/calls"].map(parseAccessLog)).toEqual([
    { kind: "off" },
    { kind: "stdout" },
    { kind: "file", path: "/var/log/calls" },
  ]);
  for (const bad of ["on", "calls.log", "./calls", "TRUE"]) expect(() => parseAccessLog(bad)).toThrow("absolute path");
});
