import { afterAll, beforeAll, expect, test } from "@jest/globals";
import {
  type DeclaredKind,
  decodeEventObjectRefs,
  type EventObjectStatus,
} from "../../contract/events/event-object.ts";
import { NAMESPACE, ObjectRig } from "../support/events/object-rig.ts";
import { eventually } from "../support/eventually.ts";

let rig: ObjectRig;
beforeAll(async () => {
  rig = await ObjectRig.open();
}, 60_000);
afterAll(async () => {
  await rig?.close();
});

const TO_FN = { subscriber: { function: "f" } };
let names = 0;
const newName = () => `o-${++names}`;

/** Whatever somebody else has applied: the next one counts. */
async function expectOthersGoOn(): Promise<void> {
  const name = newName();
  await rig.create("broker", name, {});
  await rig.ready("broker", name, "Ready");
  expect(await rig.declared("broker", name)).toBe(true);
}

const deep = (levels: number) => {
  let value: object = { exact: { type: "a" } };
  for (let level = 0; level < levels; level++) value = { not: value };
  return value;
};
const cron = { type: "cron", schedule: "@hourly" };

test.each<[attack: string, kind: DeclaredKind, spec: unknown, message: RegExp]>([
  [
    "10,000 filters",
    "trigger",
    { ...TO_FN, filters: Array(10_000).fill({ exact: { type: "a" } }) },
    /filters: must have at most 500/,
  ],
  ["filters that are nested deeply", "trigger", { ...TO_FN, filters: [deep(80)] }, /filters\[0\]|nested/],
  [
    "JSON that is as deep as other JSON may be",
    "sink",
    { type: "kafka", x: deep(98) },
    /nested at most 90 levels deep/,
  ],
  ["JSON that is far deeper", "source", { ...cron, data: deep(2_000) }, /nested/],
  ["a spec larger than a document", "source", { ...cron, data: "x".repeat(300_000) }, /at most 262144 bytes/],
  ["an expression that is no JSONata", "trigger", { ...TO_FN, transform: "(((((" }, /transform/],
  ["a broken expression in CESQL", "trigger", { ...TO_FN, filters: [{ cesql: "((((((" }] }, /filters\[0\]\.cesql/],
  [
    "a flow that goes to a step that is not there",
    "flow",
    { steps: [{ name: "a", function: "f", catch: [{ errors: ["*"], next: "b" }] }] },
    /steps\.0\.catch\.0\.next: there is no step b/,
  ],
  [
    "a flow whose steps share a name",
    "flow",
    {
      steps: [
        { name: "a", function: "f" },
        { name: "a", function: "g" },
      ],
    },
    /steps\.1\.name/,
  ],
  [
    "a flow of steps without end",
    "flow",
    { steps: Array(5_000).fill({ function: "f" }) },
    /steps: must have at most 100/,
  ],
  [
    "a secret by a path",
    "source",
    { type: "webhook", profile: "github", secret: { secret: "../other/key" } },
    /secret/,
  ],
  [
    "a secret of another namespace",
    "source",
    { type: "webhook", profile: "github", secret: { secret: "key", namespace: "other" } },
    /secret/,
  ],
  [
    "fields of prototypes",
    "broker",
    JSON.parse('{"__proto__":{"maxAge":"1s"},"constructor":{"a":1}}'),
    /constructor|__proto__/,
  ],
  [
    "a subscriber in a name of a namespace",
    "trigger",
    { subscriber: { function: "../../x/f" } },
    /subscriber\.function/,
  ],
  ["a URL that is none of http", "trigger", { subscriber: { uri: "file:///etc/passwd" } }, /subscriber\.uri/],
  ["numbers without end", "broker", { maxEvents: 1e300, delivery: { retry: -1e9 } }, /maxEvents/],
  ["a type that is none", "source", { type: "__proto__" }, /type: must be one of/],
])("%s is refused with the field and its rule, and others go on", async (_attack, kind, spec, message) => {
  const name = newName();
  await rig.create(kind, name, spec);
  const ready = await rig.ready(kind, name);
  expect(ready).toMatchObject({ status: "False", reason: "Invalid", message: expect.stringMatching(message) });
  expect(ready.message.length).toBeLessThanOrEqual(2_000);
  expect(await rig.declared(kind, name)).toBe(false);
  await expectOthersGoOn();
});

test("a password in a URL is refused, and quoted nowhere", async () => {
  const name = newName();
  await rig.create("source", name, { type: "http-poll", url: "https://me:hunter2@example.com/" });
  await rig.ready("source", name, "Invalid");
  expect(JSON.stringify((await rig.client.get(rig.pathOf("source", name))).status)).not.toContain("hunter2");
});

test("names that objects of programs have, and names of other kinds, clash with nothing", async () => {
  for (const name of ["constructor", "tostring", "hasownproperty", "valueof"]) {
    await rig.create("trigger", name, TO_FN);
    await rig.create("broker", name, {});
    await rig.ready("broker", name, "Ready");
    await rig.ready("trigger", name, "NoFunction");
    expect([await rig.declared("trigger", name), await rig.declared("broker", name)]).toEqual([true, true]);
  }
  await rig.create("trigger", "a.b.c", TO_FN);
  await rig.ready("trigger", "a.b.c", "Invalid");
});

test("a flow that leads back to itself is only a flow: nothing goes round before there are events", async () => {
  const name = newName();
  await rig.create("flow", name, { broker: "default", steps: [{ broker: "default" }], reply: { broker: "default" } });
  await rig.ready("flow", name, "Ready");
  await expectOthersGoOn();
});

test("somebody who overwrites statuses all the time has no storm of writes for it", async () => {
  const name = newName();
  await rig.create("broker", name, {});
  await rig.ready("broker", name, "Ready");
  const ours = () => rig.kube.faults.requests.filter(({ userAgent }) => userAgent === "faaslane-provider");
  const writes = () => ours().filter(({ subresource }) => subresource === "status").length;
  const before = writes();
  for (let n = 0; n < 100; n++) {
    await rig.client.patch(`${rig.pathOf("broker", name)}/status`, {
      status: { path: `/mine/${n}`, conditions: null },
    });
  }
  await expectOthersGoOn();
  expect(writes() - before).toBeLessThan(20);
});

test("a status that cannot be written keeps no other one from being written", async () => {
  const [bad, good] = [newName(), newName()];
  const stop = rig.kube.faults.answer({ status: 409, matches: ({ name, verb }) => name === bad && verb === "patch" });
  await rig.create("broker", bad, {});
  await rig.create("broker", good, {});
  await rig.ready("broker", good, "Ready");
  const tries = rig.kube.faults.requests.filter(({ name, verb }) => name === bad && verb === "patch").length;
  expect(tries).toBeLessThan(20);
  stop();
  await rig.ready("broker", bad, "Ready");
});

test("more objects than a namespace takes are told so, and the others count", async () => {
  const total = 530;
  const sinks = Array.from({ length: total }, (_, n) => `sink-${n}`);
  for (const name of sinks) await rig.create("sink", name, { type: "webhook", url: "https://example.com/" });
  const reasons = async () => {
    const { items } = await rig.client.get(rig.pathOf("sink"));
    const counts = new Map<string, number>();
    for (const { metadata, status } of items) {
      if (!metadata.name.startsWith("sink-")) continue;
      const ready = status?.conditions?.find(({ type }: { type: string }) => type === "Ready");
      counts.set(ready?.reason, (counts.get(ready?.reason) ?? 0) + 1);
    }
    return Object.fromEntries(counts);
  };
  await eventually(
    "all are told",
    async () => (await reasons()).TooMany === 30 && (await reasons()).Ready === 500,
    60_000,
  );
  await expectOthersGoOn();
}, 90_000);

test("what a client asks of objects never becomes another path at the cluster", async () => {
  for (const [name, namespace] of [
    ["../../secrets/key", NAMESPACE],
    ["a", "x/../../.."],
    ["a?watch=true", NAMESPACE],
    ["%2e%2e", NAMESPACE],
    ["", NAMESPACE],
  ]) {
    const asked = { objects: [{ kind: "trigger", namespace, name, uid: "u" }] };
    expect(() => decodeEventObjectRefs(asked)).toThrow(/must be/);
  }
  const before = rig.kube.faults.requests.length;
  const condition = { type: "Ready", status: "True", reason: "Ready", message: "m" } as const;
  const status: EventObjectStatus = {
    kind: "trigger",
    namespace: "kube-system",
    name: "nobody",
    uid: "u",
    generation: 1,
    conditions: [condition],
    fields: {},
  };
  expect(await rig.objects.report([status])).toMatchObject([{ outcome: "gone" }]);
  expect(rig.kube.faults.requests.slice(before).filter(({ verb }) => verb === "patch")).toEqual([]);
});
