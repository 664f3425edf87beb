import { describe, expect, test } from "@jest/globals";
import { json, jsonOf, type Reply, type Seen } from "../support/fake-gateway.ts";
import { openScene } from "../support/scene.ts";

const ref = "e-000000000017";
const summary = (changes: object = {}) => ({
  ref,
  namespace: "openfaas-fn",
  broker: "default",
  id: "17",
  source: "/shop",
  type: "order.created",
  via: "http",
  arrivedAt: "2030-01-31T12:00:00.000Z",
  dataBytes: 12,
  state: "dead",
  counts: { delivered: 1, dead: 1 },
  ...changes,
});
const report = {
  ...summary(),
  attributes: { specversion: "1.0", id: "17", source: "/shop", type: "order.created", subject: "order-1" },
  headers: [["X-Topic", "orders"]],
  hops: 255,
  sha256: "ab",
  data: { text: '{"total":12}', truncated: true },
  verdicts: [
    { trigger: "trigger/openfaas-fn/mail", matched: true },
    { trigger: "trigger/openfaas-fn/audit", matched: false, reason: "filters[0]: no" },
  ],
  deliveries: [
    {
      id: "d",
      trigger: "trigger/openfaas-fn/mail",
      state: "dead",
      reason: "answered 400",
      tries: 1,
      attempts: [{ at: "2030-01-31T12:00:01.000Z", durationMs: 12, status: 400, version: "v2", replica: "mail-1" }],
    },
  ],
};
const replay = (changes: object = {}) => ({
  name: "mend",
  namespace: "openfaas-fn",
  state: "RUNNING",
  createdAt: "2030-01-31T12:00:00.000Z",
  rate: 100,
  total: 3,
  done: 1,
  skipped: 0,
  ...changes,
});

describe("events send", () => {
  const taken = (): Reply => ({ status: 202 });

  test("describes an event by flags, its data by what they are", async () => {
    await using scene = await openScene(taken, {});
    const flags = "--id 1 --source /shop --subject order-1 --time 2030-01-31T12:00:00Z --attribute partitionkey=ü";
    const outcome = await scene.run(`events send order.created ${flags} --data {"a":1} -n dev --broker shop --key k`);
    expect(outcome).toEqual({ code: 0, stderr: "", stdout: "Event sent: 1\n" });
    const [seen] = scene.gateway.seen as [Seen];
    expect([seen.method, seen.path, seen.body.toString()]).toEqual(["POST", "/broker/dev/shop", '{"a":1}']);
    expect(seen.headers).toMatchObject({
      "ce-specversion": "1.0",
      "ce-id": "1",
      "ce-source": "/shop",
      "ce-type": "order.created",
      "ce-subject": "order-1",
      "ce-time": "2030-01-31T12:00:00Z",
      "ce-partitionkey": "%C3%BC",
      "content-type": "application/json",
      "idempotency-key": "k",
    });
  });

  test("gives it an id, a source and a time, and sends it structured when asked to", async () => {
    await using scene = await openScene(taken, { "data.bin": "plain" });
    const { stdout } = await scene.run("events send --type t --data-file data.bin --mode structured");
    const [seen] = scene.gateway.seen as [Seen];
    expect(seen.headers["content-type"]).toMatch(/^application\/cloudevents\+json/);
    expect(jsonOf(seen)).toEqual({
      specversion: "1.0",
      id: /^Event sent: (.*)\n$/.exec(stdout)?.[1],
      source: "/faaslane/cli",
      type: "t",
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      datacontenttype: "text/plain",
      data: "plain",
    });
  });

  test("takes a file with one event, or a list, and flags over what it says", async () => {
    const event = { specversion: "1.0", id: "1", source: "/s", type: "t", data: { a: 1 } };
    await using scene = await openScene(taken, {
      "one.json": JSON.stringify(event),
      "two.json": JSON.stringify([event, { ...event, id: "2" }]),
    });
    expect((await scene.run("events send u --file one.json")).stdout).toBe("Event sent: 1\n");
    expect(scene.gateway.seen[0]?.headers["ce-type"]).toBe("u");
    expect((await scene.run("events send --file two.json --json")).stdout).toMatch(/"id": "2"/);
    expect(scene.gateway.seen[1]?.headers["content-type"]).toMatch(/^application\/cloudevents-batch\+json/);
  });

  test.each([
    ["events send", /^Error: say what has happened: faaslane events send TYPE, or --type\n$/],
    ["events send a --type b", /give the type once/],
    ["events send a --data x --file y", /exclude each other/],
    ["events send a --attribute No=1", /"No" is no name of an attribute/],
    ["events send a --source a\u0007", /source: has a character that no text may have/],
    ["events send --file none.json", /cannot read none\.json: there is no such file/],
    ["events send --file bad.json", /bad\.json: id: is required|bad\.json: event: .*id: is required/],
    ["events send a --mode xml", /argument 'xml' is invalid/],
  ])("%s is refused before anything is sent", async (line, message) => {
    await using scene = await openScene(taken, { "bad.json": '{"specversion":"1.0"}' });
    const outcome = await scene.run(line);
    expect([outcome.code, outcome.stdout, scene.gateway.seen]).toEqual([1, "", []]);
    expect(outcome.stderr).toMatch(message);
  });

  test("tells what the gateway says", async () => {
    await using scene = await openScene(() => ({ status: 404, body: "there is no broker openfaas-fn/nope\n" }), {});
    expect(await scene.run("events send t --broker nope")).toMatchObject({
      code: 1,
      stderr: "Error: the gateway answered 404 Not Found: there is no broker openfaas-fn/nope\n",
    });
  });
});

test("events list pages through what was asked for", async () => {
  const pages = [{ items: [summary()], next: "x" }, { items: [summary({ id: "16", counts: {}, state: "unmatched" })] }];
  await using scene = await openScene(() => json(pages.shift()), {});
  const { stdout } = await scene.run(
    "events list --function ship --state dead,waiting --state unmatched --since 1h --limit 5",
  );
  expect(scene.asked()).toEqual([
    "GET /system/events?trigger=function%2Fship&state=dead%2Cwaiting%2Cunmatched&since=1h&limit=5",
    "GET /system/events?trigger=function%2Fship&state=dead%2Cwaiting%2Cunmatched&since=1h&limit=4&after=x",
  ]);
  expect(stdout).toBe(
    [
      "ARRIVED                   TYPE           SOURCE  ID  STATE      DELIVERIES           DATA  REF",
      "2030-01-31T12:00:00.000Z  order.created  /shop   17  dead       1 delivered, 1 dead  12    e-000000000017",
      "2030-01-31T12:00:00.000Z  order.created  /shop   16  unmatched  -                    12    e-000000000017",
      "",
    ].join("\n"),
  );
});

test("events show prints what is known, and a list where several have the id", async () => {
  await using scene = await openScene(() => json(report), {});
  expect((await scene.run("events show a/b")).stdout).toBe(
    [
      "Id:       17",
      "Type:     order.created",
      "Source:   /shop",
      "Ref:      e-000000000017",
      "Broker:   default.openfaas-fn",
      "Arrived:  2030-01-31T12:00:00.000Z",
      "Via:      http",
      "State:    dead",
      "Data:     12 bytes",
      "SHA-256:  ab",
      "",
      "Attributes:",
      "  subject:  order-1",
      "",
      "Headers:",
      "  X-Topic:  orders",
      "",
      "Triggers:",
      "  trigger/openfaas-fn/mail   matched",
      "  trigger/openfaas-fn/audit  filtered  filters[0]: no",
      "",
      "Deliveries:",
      "  TRIGGER                   STATE  TRIES  STATUS  TOOK  BY         NEXT  WHY",
      "  trigger/openfaas-fn/mail  dead   1      400     12ms  v2 mail-1  -     answered 400",
      "",
      "Data:",
      '{"total":12}',
      "… (this is the beginning)",
      "",
    ].join("\n"),
  );
  expect(scene.asked()).toEqual(["GET /system/events/a%2Fb"]);
  scene.gateway.respond = () => json({ items: [summary(), summary({ source: "/other" })] });
  const several = await scene.run("events show 17");
  expect(several.stderr).toBe("2 events have this name; say ref:REF, or --source.\n");
  expect(several.stdout).toMatch(/\/other/);
});

test("events why prints the words of the platform", async () => {
  await using scene = await openScene(() => json({ items: [{ ref, lines: ["It is here.", "  And there."] }] }), {});
  expect((await scene.run("events why 17 --source /shop")).stdout).toBe("It is here.\n  And there.\n");
  expect(scene.asked()).toEqual(["GET /system/events/17/why?source=%2Fshop&format=json"]);
});

test("events tail prints a line for each, until the gateway ends it", async () => {
  async function* lines() {
    yield "{}\n";
    yield `${JSON.stringify(summary({ state: "pending", counts: {} }))}\n${JSON.stringify(summary())}\n`;
  }
  await using scene = await openScene(() => ({ status: 200, body: lines() }), {});
  const { code, stdout } = await scene.run("events tail --type order.created");
  expect(code).toBe(0);
  expect(scene.asked()).toEqual(["GET /system/events?type=order.created&follow=true"]);
  expect(stdout).toBe(
    "2030-01-31T12:00:00.000Z  order.created  /shop  17  pending  -\n" +
      "2030-01-31T12:00:00.000Z  order.created  /shop  17  dead  1 delivered, 1 dead\n",
  );
});

describe("events replay", () => {
  test("sends what was selected, and tells how far it is", async () => {
    const answers = [
      replay({ state: "STARTING", total: undefined, done: 0 }),
      replay(),
      replay({ state: "COMPLETED", done: 3 }),
    ];
    await using scene = await openScene(() => json(answers.shift()), {});
    const flags = "--trigger mail --state dead --since 1h --to mail@v3 --rate 5 --name mend --wait";
    const { code, stdout } = await scene.run(`events replay ${flags}`);
    expect([code, stdout]).toEqual([0, "Replay: mend\nSTARTING 0\nRUNNING 1/3\nCOMPLETED 3/3\n"]);
    expect(jsonOf(scene.gateway.seen[0] as Seen)).toEqual({
      name: "mend",
      trigger: "mail",
      states: ["dead"],
      since: "1h",
      to: "mail@v3",
      rate: 5,
    });
  });

  test("only tells in a dry run", async () => {
    const sample = [{ ref, id: "17", type: "t", arrivedAt: "2030-01-31T12:00:00.000Z" }];
    await using scene = await openScene(
      () => json({ count: 1, more: false, deliveries: { "trigger/a/b": 1 }, sample }),
      {},
    );
    const { stdout } = await scene.run("events replay 17 --dry-run");
    expect(jsonOf(scene.gateway.seen[0] as Seen)).toEqual({ events: ["17"], dryRun: true });
    expect(stdout).toBe(
      [
        "1 event would be sent again; nothing was.",
        "",
        "TO           EVENTS",
        "trigger/a/b  1",
        "",
        "The first of them:",
        "ARRIVED                   TYPE  ID  REF",
        `2030-01-31T12:00:00.000Z  t     17  ${ref}`,
        "",
      ].join("\n"),
    );
  });

  test("fails when it is cancelled meanwhile", async () => {
    await using scene = await openScene(() => json(replay({ state: "CANCELLED" })), {});
    expect((await scene.run("events replay --all --wait")).code).toBe(1);
  });

  test.each([
    ["events replay --all --rate much", /--rate must be a number/],
    ["events replay --all --rate 0", /rate: must be more than 0/],
    ["events replay --trigger a --function b", /do not go together/],
    ["events replay --state gone", /states\.0: /],
  ])("%s is refused before anything is sent", async (line, message) => {
    await using scene = await openScene(() => json(replay()), {});
    const outcome = await scene.run(line);
    expect([outcome.code, scene.gateway.seen]).toEqual([1, []]);
    expect(outcome.stderr).toMatch(message);
  });
});

test("events replays lists, shows and cancels", async () => {
  await using scene = await openScene(({ method, path }) => {
    if (method === "DELETE") return { status: path.endsWith("/mend") ? 202 : 204 };
    return json(path.endsWith("/mend") ? replay({ lastRef: ref, lastArrivedAt: "then" }) : [replay()]);
  }, {});
  const list =
    "NAME  STATE    DONE  SKIPPED  TO              CREATED                   PROBLEM\nmend  RUNNING  1/3   0        their triggers  2030-01-31T12:00:00.000Z\n";
  expect((await scene.run("events replays")).stdout).toBe(list);
  expect((await scene.run("events replays list")).stdout).toBe(list);
  expect((await scene.run("events replays show mend")).stdout).toMatch(/^Last event: +e-000000000017, arrived then$/m);
  expect((await scene.run("events replays cancel mend")).stdout).toBe("Cancelled: mend\n");
  expect((await scene.run("events replays cancel old")).stdout).toBe("Forgotten: old\n");
});

test("events tail ends quietly when it is interrupted", async () => {
  const end = new AbortController();
  async function* lines() {
    yield "{}\n";
    end.abort();
    await new Promise(() => {});
  }
  await using scene = await openScene(() => ({ status: 200, body: lines() }), {});
  const { code, stderr } = await scene.run("events tail", { signal: end.signal });
  expect([code, stderr]).toEqual([0, ""]);
});

test("a gateway without events is told as such", async () => {
  await using scene = await openScene(() => ({ status: 404, body: "404 page not found\n" }), {});
  expect((await scene.run("events list")).stderr).toBe(
    "Error: this gateway has no events; `faaslane version` shows what it is\n",
  );
});
