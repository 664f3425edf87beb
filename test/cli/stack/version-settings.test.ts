import { expect, test } from "@jest/globals";
import { parseStack } from "../../../cli/stack/parse.ts";

const HEAD = "provider: {name: openfaas}\nfunctions:\n  f:\n    image: f\n";

test.each<[what: string, fields: string, problem: string]>([
  ["a sum", "traffic: [{version: v1, percent: 90}]", "5:14: functions.f.traffic: percentages add up to 90, not to 100"],
  ["a share", "traffic: [{version: v1, percent: 99.999}]", "5:38: functions.f.traffic[0].percent: must be 0 to 100"],
  ["a version", "traffic: [{version: one, percent: 100}]", '5:14: functions.f.traffic: "one" is no version'],
  ["no version", "traffic: [{percent: 100}]", "5:15: functions.f.traffic[0]: the version is missing"],
  ["a field of a share", "traffic: [{version: v1, weight: 1}]", "5:37: functions.f.traffic[0].weight: is unknown"],
  ["no list", "traffic: v1=100", "5:14: functions.f.traffic: must be a list"],
  ["a strategy", "rollout: slow", "5:14: functions.f.rollout: must be one of instant, canary"],
  ["steps", "rollout:\n      steps: [5@2m, 1, 100]", "6:14: functions.f.rollout.steps: percentages must grow"],
  ["a condition", "rollout: {gate: errors>1%}", '5:21: functions.f.rollout.gate: "errors>1%" must be such as'],
  ["a field of a rollout", "rollout: {speed: 1}", "5:22: functions.f.rollout.speed: is unknown; there are strategy"],
  ["a route", "routes: [a.b, a.b//x]", '5:19: functions.f.routes[1]: path: "//x" must be a path'],
  ["a field of a route", "routes: [{hosts: a.b}]", "5:22: functions.f.routes[0].hosts: is unknown; there are host"],
  ["an option of a route", "routes: [a.b canary]", '5:14: functions.f.routes[0]: "canary" is unknown'],
  ["the same route twice", "routes: [a.b, {host: A.b}]", "5:19: functions.f.routes[1]: is the same as route 1"],
  [
    "an annotation that says the same",
    "rollout: canary\n    annotations: {com.faaslane.rollout: manual}",
    "6:41: functions.f.annotations.com.faaslane.rollout: a field of the function says the same; give one of them",
  ],
])("%s is refused where it stands", (_what, fields, problem) => {
  expect(() => parseStack(`${HEAD}    ${fields}\n`, { file: "stack.yml", env: {} })).toThrow(`stack.yml:${problem}`);
});

test("empty fields say nothing", () => {
  const text = `${HEAD}    traffic:\n    rollout: {}\n    routes: []\n    version_name: ""\n`;
  expect(parseStack(text, { file: "s", env: {} }).functions[0]?.annotations).toEqual({});
});
