import { expect, test } from "@jest/globals";
import { parseScalePolicy, type ScalePolicy } from "../../contract/scale-policy.ts";

type Labels = Record<string, string>;

test("without labels the defaults of OpenFaaS Pro hold", () => {
  expect(parseScalePolicy()).toMatchObject({
    problems: [],
    policy: {
      type: "rps",
      typeGiven: false,
      min: 1,
      max: 20,
      target: 50,
      upProportion: 0.9,
      downProportion: 0.9,
      zero: false,
      zeroDurationMs: 900_000,
      windows: [],
      prewarm: false,
    },
  });
});

test.each<[labels: Labels, expected: Partial<ScalePolicy>]>([
  [
    { "com.openfaas.scale.type": "capacity", "com.openfaas.scale.target": "5" },
    { type: "capacity", target: 5 },
  ],
  [{ "com.openfaas.scale.target": "0.06" }, { target: 0.06 }],
  [{ "com.openfaas.scale.min": "0" }, { min: 1 }],
  [{ "com.openfaas.scale.min": "30" }, { min: 30, max: 30, initial: 30 }],
  [{ "com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "5m" }, { zeroDurationMs: 300_000 }],
  [{ "com.openfaas.scale.zero-duration": "30" }, { zeroDurationMs: 30_000 }],
  [{ "com.openfaas.scale.down.window": "2m" }, { downDelayMs: 120_000 }],
  [
    { "com.openfaas.scale.mode": "cpu", "com.openfaas.scale.proportion": "0.5" },
    { type: "cpu", upProportion: 0.5 },
  ],
  [{ "com.openfaas.scale.mode": "cpu", "com.openfaas.scale.type": "rps" }, { type: "rps" }],
  [{ "com.openfaas.min.scale": "2" }, { min: 2 }],
  [{ "com.faaslane.scale.window": "60s", "com.faaslane.scale.panic-window": "20" }, { panicWindowMs: 12_000 }],
  [{ "com.faaslane.scale.down-proportion": "0.5" }, { upProportion: 0.9, downProportion: 0.5 }],
  [{ "com.faaslane.queue.size": "100" }, { queueSize: 100 }],
  [
    { "com.openfaas.scale.type": "custom", "com.faaslane.scale.query": "sum(lag)" },
    { type: "custom", query: "sum(lag)" },
  ],
])("%j", (labels, expected) => {
  const { policy, problems } = parseScalePolicy(labels);
  expect(problems).toEqual([]);
  expect(policy).toMatchObject(expected);
});

test("an annotation counts where there is no label", () => {
  const annotations = { "com.openfaas.scale.max": "7", "com.openfaas.scale.min": "2" };
  expect(parseScalePolicy({ "com.openfaas.scale.min": "3" }, annotations).policy).toMatchObject({ min: 3, max: 7 });
});

test.each<[labels: Labels, problem: string]>([
  [
    { "com.openfaas.scale.type": "memory" },
    'com.openfaas.scale.type: "memory" must be one of rps, capacity, cpu, queue, custom',
  ],
  [{ "com.openfaas.scale.min": "-1" }, "com.openfaas.scale.min"],
  [{ "com.openfaas.scale.max": "0" }, "com.openfaas.scale.max"],
  [
    { "com.openfaas.scale.min": "5", "com.openfaas.scale.max": "2" },
    'com.openfaas.scale.min: "5" must not be above com.openfaas.scale.max: 2',
  ],
  [{ "com.openfaas.scale.target": "0" }, "com.openfaas.scale.target"],
  [{ "com.openfaas.scale.target-proportion": "1.5" }, "com.openfaas.scale.target-proportion"],
  [{ "com.openfaas.scale.zero": "yes" }, 'com.openfaas.scale.zero: "yes" must be true or false'],
  [{ "com.openfaas.scale.zero-duration": "soon" }, "must be a duration such as 30s or 5m"],
  [{ "com.openfaas.scale.down.window": "6m" }, 'com.openfaas.scale.down.window: "6m" must be at most 5m'],
  [{ "com.faaslane.scale.window": "5s" }, "must be at least 6s"],
  [{ "com.faaslane.scale.down-proportion": "0.95" }, "must not be above the target-proportion, 0.9"],
  [{ "com.faaslane.scale.initial": "21" }, "must not be above com.openfaas.scale.max: 20"],
  [{ "com.openfaas.scale.type": "custom" }, "must be a PromQL expression for type custom"],
  [{ "com.faaslane.scale.query": "up" }, "is for com.openfaas.scale.type: custom only"],
  [{ "com.openfaas.scale.tagret": "5" }, "com.openfaas.scale.tagret: there is no such setting"],
])("%j is refused", (labels, problem) => {
  const { problems } = parseScalePolicy(labels);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

const WINDOWS = "com.faaslane.scale.windows";

test("windows are JSON", () => {
  const text = '[{"schedule":"0 8 * * 1-5","duration":"10h","min":5,"max":40,"timeZone":"Europe/Berlin"}]';
  expect(parseScalePolicy({}, { [WINDOWS]: text })).toMatchObject({
    problems: [],
    policy: {
      windows: [{ schedule: "0 8 * * 1-5", durationMs: 36_000_000, min: 5, max: 40, timeZone: "Europe/Berlin" }],
    },
  });
});

test.each<[text: string, rule: string]>([
  ["{}", "must be a JSON list"],
  ["[1]", "window 1: must be an object"],
  ['[{"schedule":"61 * * * *","duration":"1h","min":1}]', "schedule must be a cron expression"],
  ['[{"schedule":"@daily","duration":"1h","min":1}]', "schedule must be a cron expression"],
  ['[{"schedule":"0 8 * * *","duration":"30s","min":1}]', "duration must be"],
  ['[{"schedule":"0 8 * * *","duration":"1h","min":0}]', "min must be"],
  ['[{"schedule":"0 8 * * *","duration":"1h","min":30}]', "min must not be above the function's max, 20"],
  ['[{"schedule":"0 8 * * *","duration":"1h","min":3,"max":2}]', "max must be"],
  ['[{"schedule":"0 8 * * *","duration":"1h","min":1,"timeZone":"Mars/North"}]', "timeZone must be"],
  ['[{"schedule":"0 8 * * *","duration":"1h","min":1,"zone":"UTC"}]', "there is no field zone"],
])("windows %s are refused", (text, rule) => {
  const { policy, problems } = parseScalePolicy({}, { [WINDOWS]: text });
  expect(problems).toEqual([expect.stringContaining(rule)]);
  expect(policy.windows).toEqual([]);
});

test.each(["constructor", "toString", "hasOwnProperty", "__proto__"])("a label %s is just another label", (name) => {
  const labels = Object.fromEntries([
    [name, "x"],
    ["com.openfaas.scale.max", "7"],
  ]);
  expect(parseScalePolicy(labels, labels)).toMatchObject({ problems: [], policy: { max: 7 } });
});
