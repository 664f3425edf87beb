import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { UiConfiguration, UiGateway, UiGateways } from "../../../contract/ui/platform.ts";
import { loadGatewayConfig } from "../../../gateway/process/config.ts";
import { variableRows } from "../../../gateway/ui/browser/screens/platform/variable-rows.ts";
import { readDefaults } from "../../../gateway/ui/documented-defaults.mjs";
import { readQuestion } from "../../../gateway/ui/live/other-gateways.ts";
import { buildConfiguration } from "../../../gateway/ui/platform/configuration.ts";
import { KnownGateways } from "../../../gateway/ui/platform/gateways.ts";
import { GuardedGateway } from "../../support/guarded-gateway.ts";
import { ROOT } from "../../support/platform.ts";

const CREDENTIALS = { user: "admin", password: "let me in" };
const authorization = `Basic ${btoa("admin:let me in")}`;
let gateway: GuardedGateway;
beforeAll(async () => {
  const env = { prometheus_url: "http://me:hunter2@127.0.0.1:9/?token=hunter3", callback_deny: "10.0.0.0/8" };
  gateway = await GuardedGateway.open(env, CREDENTIALS);
});
afterAll(async () => await gateway?.close());

async function ask(path: string): Promise<{ readonly text: string; readonly answer: Response }> {
  const answer = await fetch(gateway.url + path, { headers: { authorization } });
  return { text: await answer.text(), answer };
}

test("the configuration in force is told as it was read, without secrets", async () => {
  const { text, answer } = await ask("/ui/api/configuration");
  expect([answer.status, answer.headers.get("cache-control")]).toEqual([200, "no-store"]);
  const { variables } = JSON.parse(text) as UiConfiguration;
  const find = (name: string) => variables.find((variable) => variable.name === name);
  expect(find("callback_deny")).toEqual({ name: "callback_deny", isSet: true, value: "10.0.0.0/8" });
  expect(find("upstream_timeout")).toEqual({ name: "upstream_timeout", isSet: false });
  expect(find("prometheus_url")?.value).toMatch(/^http:\/\/\[redacted\]@127\.0\.0\.1:9\/\?token=\[redacted\]$/);
  expect(text).not.toMatch(/hunter|let me in/);
  const names = variables.map(({ name }) => name);
  expect(names).toEqual([...new Set(names)].sort());
});

test("of all variables those alone are hidden as a whole whose values are credentials", () => {
  const { variables } = loadGatewayConfig({});
  const all = buildConfiguration(variables.map(({ name }) => ({ name, text: "x" }))).variables;
  expect(all.length).toBeGreaterThan(80);
  const hidden = all.filter(({ value }) => value === undefined).map(({ name }) => name);
  expect(hidden).toEqual(["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"]);
});

test("what is set has its value, and what is not has the default that is documented", () => {
  const defaults = readDefaults(readFileSync(join(ROOT, "gateway/README.md"), "utf8"));
  expect(defaults).toMatchObject({
    upstream_timeout: "60s",
    events: "as queue",
    ui: "on",
    async_worker: "true if embedded",
  });
  const variables = [
    { name: "upstream_timeout", isSet: false },
    { name: "OTEL_EXPORTER_OTLP_HEADERS", isSet: true },
    { name: "ui", isSet: true, value: "off" },
  ];
  const all = { text: "", from: "" };
  expect(variableRows(variables, defaults, all)).toEqual([
    { name: "upstream_timeout", value: "60s", from: "default" },
    { name: "OTEL_EXPORTER_OTLP_HEADERS", value: "set; it is not shown", from: "set" },
    { name: "ui", value: "off", from: "set" },
  ]);
  expect(variableRows(variables, {}, { ...all, from: "default" })).toEqual([
    { name: "upstream_timeout", value: "–", from: "default" },
  ]);
  expect(variableRows(variables, {}, { ...all, text: "otlp" })).toHaveLength(1);
});

test("a gateway alone tells of itself", async () => {
  const { gateways, areShared } = JSON.parse((await ask("/ui/api/gateways")).text) as UiGateways;
  expect([gateways.length, areShared]).toEqual([1, false]);
  expect(gateways[0]).toMatchObject({ leads: true, threads: 1, drainsQueue: true, hasProvider: true });
});

const own: UiGateway = { name: "b", release: "1", startedAt: 1, leads: false, threads: 2, hasProvider: true };

test("gateways that share their work are all told, this one first, and what is no answer is left out", async () => {
  const asked: object[] = [];
  const answers = [
    { ...own, name: "c", leads: true, drainsQueue: false },
    { ...own, name: "a", more: "of a later release" },
    null,
    { name: 1 },
    own,
  ];
  const ask = async (question: object) => {
    asked.push(question);
    return answers;
  };
  const known = new KnownGateways(() => own, { ask, onQuestion: () => {} });
  const { gateways, areShared } = await known.list();
  expect(gateways.map(({ name, leads }) => [name, leads])).toEqual([
    ["b", false],
    ["a", false],
    ["c", true],
  ]);
  expect(areShared).toBe(true);
  expect(asked.map(readQuestion)).toEqual([{ kind: "gateway" }, undefined]);
  expect(JSON.parse(known.answer())).toEqual(own);
});
