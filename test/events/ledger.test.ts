import { describe, expect, test } from "@jest/globals";
import { decodeFoundEvent } from "../../contract/events/event-report.ts";
import { decodeReplayRequest } from "../../contract/events/replay-spec.ts";
import { readEventPage } from "../../events/ledger/event-query.ts";
import { stateOf } from "../../events/ledger/event-state.ts";
import { explain } from "../../events/ledger/explain.ts";
import { buildEventRedaction, redactRecord } from "../../events/ledger/redact-event.ts";
import { beginReplay, deliveriesAgain } from "../../events/ledger/replay.ts";
import { buildEventReport, PREVIEW_BYTES } from "../../events/ledger/report.ts";
import type { DeliveryRecord, EventRecord } from "../../events/store/event-store.ts";

const AT = Date.parse("2030-01-31T12:00:00Z");
const HIDDEN = "[redacted]";

function delivery(given: Partial<DeliveryRecord>): DeliveryRecord {
  return { id: "d1", trigger: "trigger/openfaas-fn/mail", state: "delivered", attempts: [], tries: 0, ...given };
}

function record(
  given: Partial<EventRecord> & { readonly data?: string | Buffer; readonly attributes?: object },
): EventRecord {
  const { data = "", attributes, ...rest } = given;
  const bytes = Buffer.from(data as string);
  return {
    event: {
      ref: "r-17",
      broker: { namespace: "openfaas-fn", name: "default" },
      event: {
        attributes: { specversion: "1.0", id: "17", source: "/shop", type: "order.created", ...attributes },
        ...(bytes.length > 0 && { data: bytes }),
      },
      headers: [],
      hops: 255,
      arrivedAt: AT,
      via: "http",
    },
    dataBytes: bytes.length,
    pending: false,
    verdicts: [],
    deliveries: [],
    ...rest,
  };
}

describe("an event is explained in words:", () => {
  test("each trigger with its verdict, each delivery with its tries and what comes next", () => {
    const lines = explain(
      record({
        data: '{"total":12}',
        attributes: { subject: "order-1" },
        verdicts: [
          { trigger: "function/openfaas-fn/ship", matched: true },
          {
            trigger: "trigger/openfaas-fn/audit",
            matched: false,
            reason: 'filters[0].exact: type is "order.created", not exact "order.paid"',
          },
          { trigger: "trigger/openfaas-fn/mail", matched: true },
        ],
        deliveries: [
          delivery({
            trigger: "function/openfaas-fn/ship",
            tries: 2,
            attempts: [
              { at: AT + 5, durationMs: 12, status: 503, error: "answered 503" },
              { at: AT + 300, durationMs: 8.24, status: 200, version: "v3", replica: "ship-1" },
            ],
          }),
          delivery({
            state: "retrying",
            tries: 8,
            attempts: [7, 8].map((n) => ({ at: AT + n * 1000, durationMs: 30_000, error: "no answer within 30 s" })),
            nextAttemptAt: AT + 60_000,
          }),
        ],
      }),
      AT + 50_000,
    );
    expect(lines).toEqual([
      "Event 17 of type order.created from /shop about order-1.",
      "Stored at 2030-01-31T12:00:00.000Z by the broker default in openfaas-fn, as r-17; it came over HTTP.",
      "It has 12 bytes of data.",
      "Of 3 triggers, 2 wanted it.",
      "function/openfaas-fn/ship: matched.",
      "  The delivery was delivered at 2030-01-31T12:00:00.308Z after 2 tries.",
      "    Try 1 at 2030-01-31T12:00:00.005Z: answered 503 after 12ms.",
      "    Try 2 at 2030-01-31T12:00:00.300Z: answered 200 after 8.2ms by version v3, replica ship-1.",
      'trigger/openfaas-fn/audit: filtered: filters[0].exact: type is "order.created", not exact "order.paid".',
      "trigger/openfaas-fn/mail: matched.",
      "  The delivery has failed 8 times; the next try is at 2030-01-31T12:01:00.000Z, in 10s.",
      "    6 earlier tries failed.",
      "    Try 7 at 2030-01-31T12:00:07.000Z: no answer within 30 s after 30s.",
      "    Try 8 at 2030-01-31T12:00:08.000Z: no answer within 30 s after 30s.",
    ]);
  });

  test.each<[what: string, given: Parameters<typeof record>[0], line: string]>([
    ["one that nobody has looked at", { pending: true }, "It has not been given to the triggers yet."],
    ["one without triggers", {}, "The broker had no trigger when it arrived, so nobody got it."],
    [
      "one that nobody wanted",
      { verdicts: [{ trigger: "trigger/a/b", matched: false }] },
      "Of one trigger, none wanted it.",
    ],
    [
      "one given up",
      { deliveries: [delivery({ state: "dead", tries: 1, reason: "answered 400" })] },
      "  The delivery was given up after one try: answered 400.",
    ],
    [
      "one that waits for its turn",
      { deliveries: [delivery({ state: "waiting", orderKey: "k" })] },
      '  The delivery waits for its turn, behind others with the key "k".',
    ],
    [
      "a replay",
      { deliveries: [delivery({ state: "delivering", replay: "mend", target: "function/a/b@v2" })] },
      "  The replay mend to function/a/b@v2 is under way, after 0 failed tries.",
    ],
    [
      "a dead letter",
      { deliveries: [delivery({ deadLetter: true, tries: 1 })] },
      "  The dead letter was delivered after one try.",
    ],
    [
      "one whose data is gone",
      { dataBytes: 70_000, sha256: "ab" },
      "It has 70000 bytes of data, not kept any more (SHA-256 ab).",
    ],
  ])("%s", (_what, given, line) => {
    expect(explain(record(given), AT)).toContain(line);
  });
});

test.each<[state: string, given: Partial<EventRecord>]>([
  ["pending", { pending: true }],
  ["unmatched", {}],
  ["delivered", { deliveries: [delivery({}), delivery({ trigger: "trigger/a/b" })] }],
  ["dead", { deliveries: [delivery({}), delivery({ trigger: "trigger/a/b", state: "dead" })] }],
  ["retrying", { deliveries: [delivery({ state: "dead" }), delivery({ trigger: "trigger/a/b", state: "retrying" })] }],
  [
    "delivered",
    { deliveries: [delivery({ state: "dead" }), delivery({ deadLetter: true }), delivery({ replay: "r" })] },
  ],
])("an event is %s by the latest delivery of each trigger", (state, given) => {
  expect(stateOf(record(given))).toBe(state);
});

describe("of an event is not shown", () => {
  const redaction = buildEventRedaction(["X-Customer", "customer.iban", "pin"]);
  const shown = (data: string, contentType?: string) => redaction.data(Buffer.from(data), contentType).toString();

  test.each<[what: string, given: string, contentType: string | undefined, expected: string]>([
    ["a field by its name", '{"password": "x", "n": 1}', undefined, `{"password":"${HIDDEN}","n":1}`],
    ["a field named by the owner", '{"pin": 12}', "application/json", `{"pin":"${HIDDEN}"}`],
    [
      "a field by its path",
      '{"customer":{"iban":"DE","name":"a"},"iban":"FR"}',
      undefined,
      `{"customer":{"iban":"${HIDDEN}","name":"a"},"iban":"FR"}`,
    ],
    [
      "a field by its path through lists",
      '{"customer":[{"iban":1},{"iban":2}]}',
      "application/vnd.shop+json",
      `{"customer":[{"iban":"${HIDDEN}"},{"iban":"${HIDDEN}"}]}`,
    ],
    ["a whole object", '{"credentials":{"user":"a"}}', undefined, `{"credentials":"${HIDDEN}"}`],
    ["a token in a text", '["see eyJhbGciOi.eyJzdWIi.c2ln"]', undefined, `["see ${HIDDEN}"]`],
    ["a field of a form", "a=1&token=x", "application/x-www-form-urlencoded", `a=1&token=${HIDDEN}`],
    ["the password of a URL", "go to https://u:p@host/", "text/plain", `go to https://${HIDDEN}@host/`],
  ])("%s", (_what, given, contentType, expected) => {
    expect(shown(given, contentType)).toBe(expected);
  });

  test.each(['{"total": 1.0, "__proto__": {"a": 1}}', "{broken", "ÿ", "[[[", '{"secret": null}'])(
    "nothing of %s, which stays as it is",
    (given) => {
      expect(shown(given, "application/json")).toBe(given);
    },
  );

  test("bytes that are no text stay as they are", () => {
    const bytes = Buffer.from([0xff, 0, 1]);
    expect(redaction.data(bytes, "application/json")).toBe(bytes);
  });

  test("headers and attributes by their names, in reports", () => {
    const given = record({
      attributes: { customertoken: "t", authtype: "user", subject: "https://u:p@h/" },
      data: "{}",
    });
    const event = {
      ...given.event,
      headers: [
        ["X-Customer", "1"],
        ["X-Topic", "t"],
        ["X-Api-Key", "k"],
      ] as const,
    };
    const report = buildEventReport(redactRecord({ ...given, event }, redaction));
    expect(report.headers).toEqual([
      ["X-Customer", HIDDEN],
      ["X-Topic", "t"],
      ["X-Api-Key", HIDDEN],
    ]);
    expect(report.attributes).toMatchObject({
      customertoken: HIDDEN,
      authtype: "user",
      subject: `https://${HIDDEN}@h/`,
    });
    expect(report.subject).toBe(`https://${HIDDEN}@h/`);
    expect(decodeFoundEvent(JSON.parse(JSON.stringify(report)))).toEqual(report);
  });

  test("what a filter has seen of them", () => {
    const reason = 'filters[0].exact: apitoken is "t0p", not exact "x"';
    const given = record({
      attributes: { apitoken: "t0p" },
      verdicts: [{ trigger: "trigger/a/b", matched: false, reason }],
    });
    expect(redactRecord(given, redaction).verdicts[0]?.reason).toBe(reason.replace("t0p", HIDDEN));
  });

  test("more data than a preview has, and no half character of it", () => {
    const { data } = buildEventReport(record({ data: "é".repeat(PREVIEW_BYTES) }));
    expect(data).toEqual({ text: "é".repeat(PREVIEW_BYTES / 2), truncated: true });
    const odd = buildEventReport(record({ data: `a${"é".repeat(PREVIEW_BYTES)}` }));
    expect(odd.data?.text).toBe(`a${"é".repeat(PREVIEW_BYTES / 2 - 1)}`);
    expect(buildEventReport(record({ data: Buffer.from([0xff]) })).data).toEqual({
      base64: "/w==",
      truncated: false,
    });
  });
});

describe("what events are asked for:", () => {
  const read = (given: Record<string, string>) => readEventPage(given, "openfaas-fn", AT);

  test("everything that may be given", () => {
    const given = {
      namespace: "dev",
      broker: "b",
      id: "1",
      source: "/s",
      type: "t",
      trigger: "function/ship",
      state: "dead,unmatched",
      since: "1h",
      until: "2030-01-31T11:30:00Z",
      limit: "5",
      after: "x",
    };
    expect(read(given)).toEqual({
      query: {
        namespace: "dev",
        broker: "b",
        id: "1",
        source: "/s",
        type: "t",
        trigger: "function/dev/ship",
        states: ["dead", "unmatched"],
        since: AT - 3600_000,
        until: AT - 1800_000,
      },
      page: { order: "newest", limit: 5, after: "x" },
      follow: false,
    });
  });

  test.each([
    ["typo", { typ: "x" }, /^typ: is unknown; there are namespace, /],
    ["namespace", { namespace: "A/b" }, /^namespace: must be a DNS label/],
    ["broker", { broker: "-" }, /^broker: must be a DNS label/],
    ["trigger", { trigger: "cat/x" }, /^trigger: must be trigger\/NAME/],
    ["trigger", { trigger: "trigger/a/b/c" }, /^trigger: must be/],
    ["state", { state: "dead,," }, /^state: must be of waiting, /],
    ["since", { since: "yesterday" }, /^since: must be a time such as/],
    ["until", { since: "1h", until: "2h" }, /^until: must be later than since/],
    ["limit", { limit: "1001" }, /^limit: must be a whole number from 1 to 1000/],
    ["follow", { follow: "yes" }, /^follow: must be true or false/],
    ["type", { type: "x".repeat(1001) }, /^type: must be at most 1000 characters/],
  ])("%s is refused, with its rule", (_name, given, message) => {
    expect(() => read(given as unknown as Record<string, string>)).toThrow(
      expect.objectContaining({ kind: "invalid", message: expect.stringMatching(message) }) as unknown as Error,
    );
  });
});

describe("a replay", () => {
  const begin = (given: object) => beginReplay(decodeReplayRequest(given), "openfaas-fn", AT);

  test("resolves what is relative when it is made, and ends with what was there then", () => {
    expect(begin({ name: "mend", since: "1h", trigger: "mail", states: ["dead"] })).toEqual({
      name: "mend",
      namespace: "openfaas-fn",
      createdAt: AT,
      select: {
        namespace: "openfaas-fn",
        trigger: "trigger/openfaas-fn/mail",
        states: ["dead"],
        since: AT - 3600_000,
        until: AT,
      },
      rate: 100,
      state: "STARTING",
      done: 0,
      skipped: 0,
    });
    expect(begin({ all: true, to: "ship@canary" })).toMatchObject({
      to: "function/openfaas-fn/ship@canary",
      name: expect.stringMatching(/^replay-[0-9a-f]{10}$/),
    });
    expect(begin({ all: true, to: "function/dev/ship" }).to).toBe("function/dev/ship");
    expect(begin({ all: true, to: "trigger/mail" }).to).toBe("trigger/openfaas-fn/mail");
  });

  test.each<[given: object, message: RegExp]>([
    [{}, /all: must be true unless a filter says/],
    [{ all: true, type: "t" }, /all: must not be combined/],
    [{ name: "A", all: true }, /name: must be at most 63 of a-z/],
    [{ all: true, rate: 0 }, /rate: must be more than 0/],
    [{ all: true, rate: 1e9 }, /rate: must be at most 10000/],
    [{ events: [] }, /events: must name an event/],
    [{ events: ["a"], type: "t" }, /events: must not be combined/],
    [{ states: ["unmatched"] }, /to: must say where events go that no trigger wanted/],
    [{ states: ["gone"] }, /states\.0: /],
    [{ trigger: "flow/a/f/step-1" }, /trigger: a step of a run is not replayed by itself/],
    [{ all: true, to: "a/b/c/d" }, /to: must be/],
    [{ all: true, to: "function/A/b" }, /to: the namespace must be a DNS label/],
    [{ all: true, to: "no name" }, /to: "no name" is no function's name/],
    [{ all: true, to: "ship", replies: true }, /replies: a function that is no trigger's/],
    [{ all: true, filter: "x" }, /Unrecognized key: "filter"/],
    [{ all: true, since: "soon" }, /since: must be a time/],
  ])("%j is refused, with its rule", (given, message) => {
    expect(() => begin(given)).toThrow(
      expect.objectContaining({ kind: "invalid", message: expect.stringMatching(message) }) as unknown as Error,
    );
  });

  const mail = "trigger/openfaas-fn/mail";
  const ship = "function/openfaas-fn/ship";

  test.each<[rule: string, request: object, deliveries: readonly DeliveryRecord[], expected: readonly object[]]>([
    [
      "goes to the triggers that got it, as they got it",
      { all: true },
      [delivery({ orderKey: "k", attributes: { a: 1 } }), delivery({ trigger: ship, state: "dead" })],
      [
        { trigger: mail, replay: "r", orderKey: "k", attributes: { a: 1 } },
        { trigger: ship, replay: "r" },
      ],
    ],
    [
      "goes to one trigger alone",
      { trigger: "mail" },
      [delivery({}), delivery({ trigger: ship })],
      [{ trigger: mail, replay: "r" }],
    ],
    [
      "goes where the delivery is dead",
      { states: ["dead"] },
      [delivery({}), delivery({ trigger: ship, state: "dead" })],
      [{ trigger: ship, replay: "r" }],
    ],
    [
      "leaves what was mended meanwhile",
      { states: ["dead"] },
      [delivery({ state: "dead" }), delivery({ replay: "earlier" })],
      [],
    ],
    [
      "does not take what went to a dead-letter sink for a delivery",
      { states: ["delivered"] },
      [delivery({ state: "dead" }), delivery({ deadLetter: true })],
      [],
    ],
    [
      "does not repeat steps of runs, but starts another",
      { all: true },
      [delivery({ trigger: "flow/a/f/step-1" }), delivery({ trigger: "flow/a/f/start" })],
      [{ trigger: "flow/a/f/start", replay: "r" }],
    ],
    ["does not repeat replays to functions", { all: true }, [delivery({ trigger: "replay/openfaas-fn/x" })], []],
    [
      "goes to a function, once",
      { type: "t", to: "hello@v2" },
      [delivery({}), delivery({ trigger: ship })],
      [{ trigger: "replay/openfaas-fn/r", replay: "r" }],
    ],
    [
      "goes to a function, of one trigger's dead ones",
      { trigger: "mail", states: ["dead"], to: "hello" },
      [delivery({ trigger: ship, state: "dead" })],
      [],
    ],
    [
      "goes to a function, of what nobody wanted",
      { states: ["unmatched"], to: "hello" },
      [],
      [{ trigger: "replay/openfaas-fn/r", replay: "r" }],
    ],
    [
      "goes to another trigger",
      { all: true, to: "trigger/new" },
      [],
      [{ trigger: "trigger/openfaas-fn/new", replay: "r" }],
    ],
    [
      "says that replies go on",
      { all: true, replies: true },
      [delivery({})],
      [{ trigger: mail, replay: "r", replies: true }],
    ],
  ])("%s", (_rule, request, deliveries, expected) => {
    expect(deliveriesAgain({ deliveries }, begin({ name: "r", ...request }))).toEqual(expected);
  });
});
