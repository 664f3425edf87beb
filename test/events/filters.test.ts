import { describe, expect, test } from "@jest/globals";
import { compileAnnotations } from "../../events/filters/annotations.ts";
import { compileFilters, type EventAttributes, legacyFilter } from "../../events/filters/filter.ts";
import { compileTopics } from "../../events/filters/topics.ts";

const EVENT = { specversion: "1.0", id: "1", source: "/shop/eu", type: "order.placed", number: 5, flag: true };
const verdict = (filters: unknown, event: EventAttributes = EVENT) => compileFilters(filters, "filters")(event);
const yes = { exact: { type: "order.placed" } };
const no = { exact: { type: "other" } };
const none = {};

describe("filters", () => {
  test.each<[unknown, boolean | undefined]>([
    [[], undefined],
    [[none], undefined],
    [[yes], true],
    [[no], false],
    [[yes, no], false],
    [[none, yes], true],
    [[{ exact: { type: "order.placed", source: "/shop/eu" } }], true],
    [[{ exact: { type: "order.placed", source: "/shop/us" } }], false],
    [[{ exact: { type: "Order.placed" } }], false],
    [[{ exact: { missing: "x" } }], false],
    [[{ exact: { number: "5", flag: "true" } }], true],
    [[{ prefix: { type: "order." } }], true],
    [[{ prefix: { type: "placed" } }], false],
    [[{ suffix: { type: ".placed" } }], true],
    [[{ suffix: { source: "/us" } }], false],
    [[{ all: [yes, yes] }], true],
    [[{ all: [yes, no] }], false],
    [[{ all: [none] }], undefined],
    [[{ all: [none, no] }], false],
    [[{ any: [no, yes] }], true],
    [[{ any: [no, no] }], false],
    [[{ any: [none] }], undefined],
    [[{ any: [none, no] }], false],
    [[{ not: yes }], false],
    [[{ not: no }], true],
    [[{ not: none }], undefined],
    [[{ not: { not: yes } }], true],
    [[{ any: [{ all: [yes, { not: no }] }, no] }], true],
    [[{ cesql: "type LIKE 'order.%' AND number = 5" }], true],
    [[{ cesql: "number" }], false],
    [[{ cesql: "missing = 'x'" }], false],
    [[{ exact: { constructor: "x" } }], false],
  ])("%j: %s", (filters, passes) => {
    expect(verdict(filters).passes).toBe(passes);
  });

  test.each<[unknown, string]>([
    [{}, "filters: must be a list of filters"],
    [["x"], "filters[0]: must be an object"],
    [[yes, { exact: { a: "1" }, prefix: { a: "1" } }], "filters[1]: must have one dialect, not 2"],
    [[{ regex: {} }], 'filters[0]: "regex" is no dialect'],
    [[{ exact: {} }], "filters[0].exact: must name at least one attribute"],
    [[{ exact: { "": "x" } }], 'filters[0].exact: "" is no name'],
    [[{ prefix: { type: "" } }], "filters[0].prefix: type: must not be empty"],
    [[{ exact: { type: 5 } }], "filters[0].exact: must be an object of attributes and texts"],
    [[{ any: [] }], "filters[0].any: must be a list of at least one filter"],
    [[{ not: { all: [no, { cesql: "id =" }] } }], "filters[0].not.all[1].cesql: CESQL at character 5"],
    [[{ cesql: 5 }], "filters[0].cesql: must be a text"],
    [[{ toString: {} }], "is no dialect"],
  ])("refuses %j", (filters, message) => {
    expect(() => compileFilters(filters, "filters")).toThrow(message);
  });

  test("is not nested without end, nor are there any number of them", () => {
    let deep: object = yes;
    for (let depth = 0; depth < 30; depth++) deep = { not: deep };
    expect(() => compileFilters([deep], "filters")).toThrow("nested more than 20 levels deep");
    expect(() => compileFilters(Array(600).fill(yes), "filters")).toThrow("more than 500 filters");
  });

  test("says which clause kept an event out, and what it saw", () => {
    expect(verdict([yes, { all: [{ prefix: { source: "/shop/us" } }] }]).reason).toBe(
      'filters[1].all[0].prefix: source is "/shop/eu", not prefix "/shop/us"',
    );
    expect(verdict([{ exact: { region: "eu" } }]).reason).toBe("filters[0].exact: the event has no region");
    expect(verdict([{ cesql: "region = 'eu'" }]).reason).toBe(
      "filters[0].cesql: region = 'eu': missingAttribute: the event has no region",
    );
    expect(verdict([{ any: [no, { not: yes }] }]).reason).toContain("filters[0].any: none passes: filters[0].any[0]");
  });

  test.each<[Record<string, string>, boolean]>([
    [{}, true],
    [{ type: "order.placed" }, true],
    [{ type: "" }, true],
    [{ missing: "" }, false],
    [{ number: "5" }, false],
    [{ type: "order.placed", source: "/shop/us" }, false],
  ])("the older form %j: %s", (wanted, passes) => {
    expect(legacyFilter(wanted, "filter.attributes")(EVENT).passes).toBe(passes);
  });

  test("the older form has names of its own", () => {
    expect(() => legacyFilter({ "1a": "x" }, "filter.attributes")).toThrow("filter.attributes");
  });
});

test.each<[Record<string, string>, boolean | undefined]>([
  [{}, undefined],
  [{ "com.faaslane.events.filter": "type = 'order.placed'" }, true],
  [{ "com.faaslane.events.filter.type": "order.*" }, true],
  [{ "com.faaslane.events.filter.type": "*.placed" }, true],
  [{ "com.faaslane.events.filter.type": "order.placed", "com.faaslane.events.filter.source": "/shop/us" }, false],
  [{ "com.faaslane.events.filters": '[{"suffix":{"source":"/eu"}}]' }, true],
  [{ "com.faaslane.events.filters": "[]" }, true],
])("of the annotations %j: %s", (annotations, passes) => {
  expect(compileAnnotations(annotations)?.(EVENT).passes).toBe(passes);
});

test("an annotation that cannot be read is named", () => {
  expect(() => compileAnnotations({ "com.faaslane.events.filters": "[{" })).toThrow("com.faaslane.events.filters");
  expect(() => compileAnnotations({ "com.faaslane.events.filter": "(" })).toThrow("com.faaslane.events.filter: CESQL");
});

test.each<[string, string, boolean]>([
  ["orders", "orders", true],
  ["orders", "Orders", false],
  ["a, b ,,c", "b", true],
  ["a, b", "", false],
  ["orders.*", "orders.eu", true],
  ["orders.*", "orders", false],
  ["orders.*", "orders.eu.north", false],
  ["orders.>", "orders.eu.north", true],
  ["orders.>", "orders", false],
  [">", "anything", true],
  ["sensors/*/heat", "sensors/1/heat", true],
  ["sensors/*/heat", "sensors/1/2/heat", false],
  ["a*b", "a*b", true],
  ["a*b", "axb", false],
])("topics %j want %j: %s", (topics, topic, wanted) => {
  expect(compileTopics(topics)(topic)).toBe(wanted);
});

test("a pattern of topics that cannot be read is refused", () => {
  expect(() => compileTopics("a.>.b")).toThrow('">" can only be the last part');
});
