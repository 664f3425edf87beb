import { expect, test } from "@jest/globals";
import { parseMirror } from "../../../contract/versions/mirror.ts";
import { parseRollout } from "../../../contract/versions/rollout-settings.ts";
import { versionSettingProblems } from "../../../contract/versions/settings.ts";
import { parseSticky } from "../../../contract/versions/sticky.ts";

test.each<[setting: string, annotations: Record<string, string>]>([
  ["none", {}],
  ["shares and a tag", { "com.faaslane.traffic": "v6=90,latest=10,v5=0@old" }],
  ["a canary with a tag at 0", { "com.faaslane.rollout": "canary", "com.faaslane.traffic": "latest=100,v5=0@old" }],
  ["a manual rollout with shares", { "com.faaslane.rollout": "manual", "com.faaslane.traffic": "v1=50,v2=50" }],
  ["a cookie with its time", { "com.faaslane.sticky": "cookie", "com.faaslane.sticky.ttl": "1h" }],
  ["a header", { "com.faaslane.sticky": "header:X-User" }],
  ["a parameter", { "com.faaslane.sticky": "query:user" }],
  ["sticky off", { "com.faaslane.sticky": "off" }],
  ["a mirror", { "com.faaslane.mirror": "v8=10", "com.faaslane.mirror.methods": "GET, POST" }],
  ["a commit as name", { "com.faaslane.version-name": "9a79d86e5a0f0f7f0c7a3f2d1c0b9a8f7e6d5c4b" }],
  ["what is kept", { "com.faaslane.version-keep": "0", "com.faaslane.rollback-window": "0s" }],
])("%s is fine", (_setting, annotations) => {
  expect(versionSettingProblems(annotations)).toEqual([]);
});

test.each<[annotations: Record<string, string>, names: RegExp]>([
  [{ "com.faaslane.traffic": "v6=90,latest=9.99" }, /^annotations\.com\.faaslane\.traffic: .*99\.99/],
  [{ "com.faaslane.traffic": "v6=50.125,v7=49.875" }, /^annotations\.com\.faaslane\.traffic: .*two decimals/],
  [{ "com.faaslane.traffic": "" }, /^annotations\.com\.faaslane\.traffic: /],
  [
    { "com.faaslane.rollout": "canary", "com.faaslane.traffic": "v1=50,latest=50" },
    /^annotations\.com\.faaslane\.traffic: .*rollout: canary/,
  ],
  [{ "com.faaslane.rollout": "slowly" }, /^annotations\.com\.faaslane\.rollout: must be one of/],
  [{ "com.faaslane.rollout.gates": "errors<1%" }, /^annotations\.com\.faaslane\.rollout\.gates: is unknown/],
  [{ "com.faaslane.sticky": "ip" }, /^annotations\.com\.faaslane\.sticky: must be cookie/],
  [{ "com.faaslane.sticky": "header:" }, /^annotations\.com\.faaslane\.sticky: must be cookie/],
  [{ "com.faaslane.sticky": "header:X User" }, /^annotations\.com\.faaslane\.sticky: must be cookie/],
  [
    { "com.faaslane.sticky": "cookie", "com.faaslane.sticky.ttl": "10ms" },
    /^annotations\.com\.faaslane\.sticky\.ttl: must be/,
  ],
  [
    { "com.faaslane.sticky": "cookie", "com.faaslane.sticky.age": "1h" },
    /^annotations\.com\.faaslane\.sticky\.age: is unknown/,
  ],
  [{ "com.faaslane.mirror": "latest=10" }, /^annotations\.com\.faaslane\.mirror: "latest=10" must be/],
  [{ "com.faaslane.mirror": "v8=101" }, /^annotations\.com\.faaslane\.mirror: "v8=101" must be/],
  [{ "com.faaslane.mirror.methods": "GET,TRACE" }, /^annotations\.com\.faaslane\.mirror\.methods: must be/],
  [{ "com.faaslane.version-name": "v3" }, /^annotations\.com\.faaslane\.version-name: must be/],
  [{ "com.faaslane.version-name": "Release 3" }, /^annotations\.com\.faaslane\.version-name: must be/],
  [{ "com.faaslane.version-keep": "-1" }, /^annotations\.com\.faaslane\.version-keep: must be/],
  [{ "com.faaslane.rollback-window": "soon" }, /^annotations\.com\.faaslane\.rollback-window: must be/],
])("%j is refused by name", (annotations, names) => {
  const problems = versionSettingProblems(annotations);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(names);
});

test("settings are read with what they are without", () => {
  expect(parseSticky({ "com.faaslane.sticky": "header:X-User" }).sticky).toEqual({ kind: "header", name: "x-user" });
  expect(parseSticky({ "com.faaslane.sticky": "cookie" }).sticky).toEqual({ kind: "cookie", ttlMs: 86_400_000 });
  expect(parseSticky().sticky).toBeUndefined();
  expect(parseMirror({ "com.faaslane.mirror": "v8=12.5" })).toEqual({
    mirror: { version: "v8", share: 1250 },
    methods: ["GET", "HEAD"],
    problems: [],
  });
});

test.each([
  ["up < 1", { expression: "up", limit: 1 }],
  ['sum(rate(x{a="<3"}[1m]))<0.25', { expression: 'sum(rate(x{a="<3"}[1m]))', limit: 0.25 }],
  ["x < -3", { expression: "x", limit: -3 }],
  ["up", undefined],
  ["up < x", undefined],
  ["up <", undefined],
  ["< 3", undefined],
  ["up > 3", undefined],
  ["up <= 3", undefined],
  [`${"x".repeat(2_000)} < 3`, undefined],
])("a rollout's query %j is %j", (text, query) => {
  const { settings, problems } = parseRollout({ "com.faaslane.rollout.query": text });
  expect(settings.query).toEqual(query);
  expect(problems).toHaveLength(query ? 0 : 1);
});
