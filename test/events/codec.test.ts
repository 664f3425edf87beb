import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { CloudEvent } from "../../events/codec/cloud-event.ts";
import { decodeHttp, encodeBatch, encodeBinary, encodeStructured, httpMode } from "../../events/codec/http.ts";
import { decodeJsonEvent, encodeJsonEvent } from "../../events/codec/json.ts";
import {
  decodeAmqp,
  decodeKafka,
  decodeMqtt,
  decodeNats,
  encodeAmqp,
  encodeKafka,
  encodeMqtt,
  encodeNats,
} from "../../events/codec/messages.ts";

const ATTRIBUTES = { specversion: "1.0", id: "1", source: "/orders", type: "order.placed" };
const HEADERS = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/orders", "ce-type": "order.placed" };
const NOTHING: Buffer = Buffer.alloc(0);

const fromHeaders = (headers: Record<string, string>, body = NOTHING) =>
  decodeHttp({ ...HEADERS, ...headers }, body)[0];
const fromJson = (event: object) => decodeJsonEvent(Buffer.from(JSON.stringify({ ...ATTRIBUTES, ...event })));
const toJson = (event: CloudEvent) => JSON.parse(encodeJsonEvent(event).toString()) as Record<string, unknown>;
const invalid = (message: string) =>
  expect.objectContaining({ kind: "invalid", message: expect.stringContaining(message) });

describe("HTTP", () => {
  test.each([
    ["application/cloudevents-batch+json", "batch"],
    ["Application/CloudEvents-Batch+JSON; charset=utf-8", "batch"],
    ["application/cloudevents+json", "structured"],
    ["Application/CloudEvents+JSON", "structured"],
    ["application/cloudevents+avro", "structured"],
    ["application/json", undefined],
    [undefined, undefined],
  ])("of the content type %s it is %s", (contentType, mode) => {
    expect(httpMode({ "content-type": contentType })).toBe(mode);
  });

  test("of all four headers it is binary, and of three it is no event", () => {
    expect(httpMode(HEADERS)).toBe("binary");
    const { "ce-type": _type, ...others } = HEADERS;
    expect(httpMode(others)).toBeUndefined();
    expect(() => decodeHttp(others, NOTHING)).toThrow(invalid("ce-type"));
  });

  test("a structured one may repeat headers, and its body wins", () => {
    const body = encodeJsonEvent({ attributes: { ...ATTRIBUTES, id: "2" } });
    expect(fromHeaders({ "content-type": "application/cloudevents+json" }, body)?.attributes.id).toBe("2");
  });

  test("characters outside printable ASCII are written as the specification has them", () => {
    const subject = 'Euro € 😀 "q" 100%';
    const { headers } = encodeBinary({ attributes: { ...ATTRIBUTES, subject } });
    expect(headers["ce-subject"]).toBe("Euro%20%E2%82%AC%20%F0%9F%98%80%20%22q%22%20100%25");
    expect(fromHeaders({ "ce-subject": String(headers["ce-subject"]) })?.attributes.subject).toBe(subject);
  });

  test.each([
    ["%e2%82%ac", "€", "small digits"],
    ["%41%42c", "ABc", "escapes that need not be"],
    ['"a \\"b\\" c"', 'a "b" c', "a quoted text"],
    ['"Euro%20%E2%82%AC"', "Euro €", "a quoted text with escapes"],
    ["%2541", "%41", "one round of decoding"],
  ])("reads %s as %s: %s", (header, subject) => {
    expect(fromHeaders({ "ce-subject": header })?.attributes.subject).toBe(subject);
  });

  test.each([
    ["%C0%A0", "overlong"],
    ["%ED%A0%80", "half of a pair"],
    ["%FF", "no beginning"],
    ["%E2%82", "cut short"],
    ["100%", "no digits"],
    ["%zz", "no digits"],
    ['"open', "no closing quote"],
    ["%00", "a control character"],
    ["%7F", "a control character"],
    ["%EF%BF%BF", "a noncharacter"],
  ])("refuses %s: %s", (header) => {
    expect(() => fromHeaders({ "ce-subject": header })).toThrow(invalid("subject"));
  });

  test.each<[Record<string, string>, string]>([
    [{ "ce-specversion": "2.0" }, "specversion"],
    [{ "ce-specversion": "0.3" }, "specversion"],
    [{ "ce-id": "" }, "id"],
    [{ "ce-datacontenttype": "text/plain" }, "ce-datacontenttype"],
    [{ "ce-my_ext": "1" }, "ce-my_ext"],
    [{ "ce-time": "yesterday" }, "time"],
    [{ "ce-time": "2026-02-30 10:00:00Z" }, "time"],
    [{ "ce-dataschema": "/relative" }, "dataschema"],
    [{ "content-type": "nonsense" }, "datacontenttype"],
    [{ "ce-data": "x" }, "data"],
  ])("refuses %j, naming the attribute", (headers, name) => {
    expect(() => fromHeaders(headers)).toThrow(invalid(name));
  });

  test("a header that is there twice is refused", () => {
    expect(() => decodeHttp({ ...HEADERS, "ce-subject": ["a", "b"] }, NOTHING)).toThrow(invalid("ce-subject"));
  });

  test("invents no time, and passes on data that is not what it says", () => {
    const broken = Buffer.from("{not json");
    const event = fromHeaders({ "content-type": "application/json" }, broken);
    expect(event).toEqual({ attributes: { ...ATTRIBUTES, datacontenttype: "application/json" }, data: broken });
  });

  test("another format is not supported", () => {
    const read = () => fromHeaders({ "content-type": "application/cloudevents+avro" }, Buffer.from("x"));
    expect(read).toThrow(expect.objectContaining({ kind: "unsupportedType" }));
  });

  test("batches come and go, an empty one too; a wrong event is named by its place", () => {
    const events = [
      { attributes: ATTRIBUTES },
      { attributes: { ...ATTRIBUTES, id: "2" }, data: Buffer.from([0, 255]) },
    ];
    const { headers, body } = encodeBatch(events);
    expect(decodeHttp(headers, body)).toEqual(events);
    expect(decodeHttp(headers, Buffer.from("[]"))).toEqual([]);
    const wrong = Buffer.from(`[${JSON.stringify(ATTRIBUTES)},{"id":"2"}]`);
    expect(() => decodeHttp(headers, wrong)).toThrow(invalid("1. event: specversion: is required"));
  });
});

describe("the JSON format", () => {
  test("null is absent, but for data", () => {
    expect(fromJson({ subject: null, data_base64: null })).toEqual({ attributes: ATTRIBUTES });
    expect(fromJson({ data: null }).data).toEqual(Buffer.from("null"));
  });

  test("data stays as it is written", () => {
    const data = '{ "big": 12345678901234567890, "e": 1e2,\n "u": "\\u00e4", "twice": 1, "twice": 2 }';
    const text = `{"specversion":"1.0","id":"1","source":"/s","type":"t" , "data" : ${data} }`;
    const event = decodeJsonEvent(Buffer.from(text));
    expect(event.data?.toString()).toBe(data);
    expect(event.attributes.datacontenttype).toBe("application/json");
    expect(encodeJsonEvent(event).toString()).toContain(data);
  });

  test.each<[unknown, string | undefined, string]>([
    ["text", "application/json", '"text"'],
    ["text", "application/vnd.x+json; v=1", '"text"'],
    ["text", undefined, '"text"'],
    ["text", "text/plain", "text"],
    [{ a: 1 }, "text/plain", '{"a":1}'],
    ["<a/>", "application/xml", "<a/>"],
  ])("data %j of type %s is the bytes %s", (data, datacontenttype, bytes) => {
    expect(fromJson({ data, datacontenttype }).data?.toString()).toBe(bytes);
  });

  test("binary data has no type unless it says so", () => {
    const event = fromJson({ data_base64: Buffer.from([1, 2, 255]).toString("base64") });
    expect(event).toEqual({ attributes: ATTRIBUTES, data: Buffer.from([1, 2, 255]) });
    expect(toJson(event)).toEqual({ ...ATTRIBUTES, data_base64: "AQL/" });
  });

  test("what says it is JSON and is none goes as base64", () => {
    const event = { attributes: { ...ATTRIBUTES, datacontenttype: "application/json" }, data: Buffer.from("{no") };
    expect(toJson(event).data_base64).toBe(Buffer.from("{no").toString("base64"));
    expect(decodeJsonEvent(encodeJsonEvent(event))).toEqual(event);
  });

  test.each(["0\t", " {}", "\n[1]\n"])("JSON with space around it is the same afterwards: %j", (text) => {
    const event = { attributes: { ...ATTRIBUTES, datacontenttype: "application/json" }, data: Buffer.from(text) };
    expect(decodeJsonEvent(encodeJsonEvent(event))).toEqual(event);
  });

  test("values keep their types", () => {
    const event = fromJson({ number: 7, flag: false, text: "x" });
    expect(event.attributes).toMatchObject({ number: 7, flag: false, text: "x" });
    expect(toJson(event)).toMatchObject({ number: 7, flag: false, text: "x" });
  });

  test.each<[string, string]>([
    [JSON.stringify({ ...ATTRIBUTES, data: 1, data_base64: "AQ==" }), "only one"],
    [JSON.stringify({ ...ATTRIBUTES, data_base64: "A" }), "data_base64"],
    [JSON.stringify({ ...ATTRIBUTES, data_base64: 1 }), "data_base64"],
    [JSON.stringify({ ...ATTRIBUTES, ext: { a: 1 } }), "ext"],
    [JSON.stringify({ ...ATTRIBUTES, ext: 1.5 }), "ext"],
    [JSON.stringify({ ...ATTRIBUTES, ext: 2 ** 31 }), "ext"],
    [JSON.stringify({ ...ATTRIBUTES, Ext: "x" }), "Ext"],
    [JSON.stringify({ ...ATTRIBUTES, subject: "a\u0000b" }), "subject"],
    ['{"id":"1","id":"2"}', "twice"],
    [`${JSON.stringify(ATTRIBUTES)} x`, "behind its end"],
    ["[]", "JSON object"],
    ["", "JSON object"],
    ['{"id"', "not JSON"],
    ['{"id":"1"', "not JSON"],
    ['{"id":}', "not JSON"],
    ['{id:"1"}', "not JSON"],
    ['{"id":"\\ud800"}', "id"],
  ])("refuses %s", (text, why) => {
    expect(() => decodeJsonEvent(Buffer.from(text))).toThrow(invalid(why));
  });

  test("megabytes of brackets are refused before they are parsed", () => {
    const brackets = Buffer.from(`{"specversion":"1.0","data":${"[".repeat(3 * 1024 ** 2)}`);
    expect(() => decodeJsonEvent(brackets)).toThrow(invalid("levels deep"));
  });

  test("bytes that are no UTF-8 are refused", () => {
    expect(() => decodeJsonEvent(Buffer.from([0x7b, 0xff, 0x7d]))).toThrow(invalid("UTF-8"));
  });
});

const BINDINGS: Readonly<Record<string, (event: CloudEvent) => CloudEvent | undefined>> = {
  "HTTP, binary": (event) => {
    const { headers, body } = encodeBinary(event);
    return decodeHttp(headers, body)[0];
  },
  "HTTP, structured": (event) => {
    const { headers, body } = encodeStructured(event);
    return decodeHttp(headers, body)[0];
  },
  "HTTP, batch": (event) => {
    const { headers, body } = encodeBatch([event]);
    return decodeHttp(headers, body)[0];
  },
  "Kafka, binary": (event) => decodeKafka(encodeKafka(event)),
  "Kafka, structured": (event) => decodeKafka(encodeKafka(event, true)),
  "NATS, binary": (event) => decodeNats(encodeNats(event)),
  "NATS, structured": (event) => decodeNats(encodeNats(event, true)),
  "MQTT 5, binary": (event) => decodeMqtt(encodeMqtt(event)),
  "MQTT 5, structured": (event) => decodeMqtt(encodeMqtt(event, true)),
  "MQTT 3.1.1": (event) => decodeMqtt({ payload: encodeMqtt(event, true).payload }),
  "AMQP, binary": (event) => decodeAmqp(encodeAmqp(event)),
  "AMQP, structured": (event) => decodeAmqp(encodeAmqp(event, true)),
};

describe.each(Object.entries(BINDINGS))("through %s and back", (_name, there) => {
  const text = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
    .filter((value) => !/[\p{Cc}\p{Cn}]/u.test(value) && value.isWellFormed());

  test("an event is the same", () => {
    const event = fc.record({
      attributes: fc.record(
        {
          specversion: fc.constant("1.0"),
          id: text,
          source: fc.constantFrom("/s", "https://example.com/a?b=c#d", "urn:uuid:1"),
          type: text,
          subject: text,
          time: fc.constantFrom("2026-01-31T12:00:00Z", "2018-04-26T14:48:09.123456+02:00"),
          datacontenttype: fc.constantFrom("application/json", "text/plain; charset=utf-8", "application/x"),
          dataschema: fc.constant("https://example.com/schema"),
          partitionkey: text,
        },
        { requiredKeys: ["specversion", "id", "source", "type", "datacontenttype"] },
      ),
      data: fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(event, (given) => expect(there(given as CloudEvent)).toEqual(given)),
      { numRuns: 200 },
    );
  });

  test.each([64 * 1024, 1024 ** 2])("%d bytes of data are the same", (size) => {
    const data = Buffer.alloc(size, "0123456789\u00ff", "latin1");
    const attributes = { ...ATTRIBUTES, datacontenttype: "application/octet-stream" };
    expect(there({ attributes, data })?.data?.equals(data)).toBe(true);
  });

  test("an event without data has none", () => {
    expect(there({ attributes: ATTRIBUTES })).toEqual({ attributes: ATTRIBUTES });
  });
});

describe("messages", () => {
  test("that are no events are none", () => {
    expect(decodeKafka({ headers: new Map(), value: Buffer.from("{}") })).toBeUndefined();
    expect(decodeNats({ headers: new Map([["ce-id", "1"]]), payload: NOTHING })).toBeUndefined();
    expect(decodeMqtt({ payload: Buffer.from('{"id":"1"}') })).toBeUndefined();
    expect(decodeAmqp({ applicationProperties: {}, body: NOTHING })).toBeUndefined();
  });

  test("a record of Kafka without a value is an event without data, and the key is nobody's attribute", () => {
    const { headers, value } = encodeKafka({ attributes: { ...ATTRIBUTES, partitionkey: "k" } });
    expect(value).toBeNull();
    expect(decodeKafka({ headers, value, key: Buffer.from("other") })?.attributes.partitionkey).toBe("k");
    expect(headers.get("ce_partitionkey")?.toString()).toBe("k");
  });

  test("Kafka has no percent coding, and NATS has", () => {
    const event = { attributes: { ...ATTRIBUTES, subject: "50% €" } };
    expect(encodeKafka(event).headers.get("ce_subject")?.toString()).toBe("50% €");
    expect(encodeNats(event).headers.get("ce-subject")).toBe("50%25%20%E2%82%AC");
  });

  test("NATS has the data's type as an attribute, and MQTT attributes by their bare names", () => {
    const event = { attributes: { ...ATTRIBUTES, datacontenttype: "text/plain" }, data: Buffer.from("x") };
    expect(encodeNats(event).headers.get("ce-datacontenttype")).toBe("text/plain");
    expect(encodeMqtt(event)).toMatchObject({ contentType: "text/plain", userProperties: ATTRIBUTES });
  });

  test("AMQP takes both separators, and values of their own types", () => {
    const properties = { "cloudEvents:specversion": "1.0", "cloudEvents:id": "1", cloudEvents_source: "/s" };
    const time = new Date("2026-01-31T12:00:00Z");
    const message = {
      applicationProperties: { ...properties, cloudEvents_type: "t", cloudEvents_time: time },
      body: NOTHING,
    };
    expect(decodeAmqp(message)?.attributes).toMatchObject({ id: "1", source: "/s", time: "2026-01-31T12:00:00.000Z" });
    const odd = { applicationProperties: { ...message.applicationProperties, cloudEvents_ext: {} }, body: NOTHING };
    expect(() => decodeAmqp(odd)).toThrow(invalid("cloudEvents_ext"));
  });

  test.each([
    [
      "Kafka",
      () =>
        decodeKafka({ headers: new Map([["content-type", Buffer.from("Application/CloudEvents+json")]]), value: null }),
    ],
    ["MQTT", () => decodeMqtt({ userProperties: { ...ATTRIBUTES, id: ["1", "2"] }, payload: NOTHING })],
    ["NATS", () => decodeNats({ headers: new Map([...Object.entries(HEADERS), ["ce-x", "%FF"]]), payload: NOTHING })],
  ])("a broken one of %s is refused", (_name, read) => {
    expect(read).toThrow(expect.objectContaining({ kind: "invalid" }));
  });
});
