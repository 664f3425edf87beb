import { expect } from "@jest/globals";
import type { RawResponse } from "../support/raw-http.ts";
import { settings } from "./settings.ts";

/** In place of a value: there is no such header or field. */
export const ABSENT = Symbol("absent");

/** Of one header: its value, all its values in their order, a pattern for its value, or that it is absent. */
export type HeaderFact = string | readonly string[] | RegExp | typeof ABSENT;
/** By lower-case name. Further headers are allowed. */
export type HeaderFacts = Readonly<Record<string, HeaderFact>>;

/**
 * The whole text, a pattern, fields that the JSON has, or a check of its own; undefined where clients do not look at the
 * body.
 */
export type BodyFacts = string | RegExp | object | ((body: string) => void) | undefined;

/** One request, and what clients rely on in its answer. */
export type Row = readonly [name: string, request: string, status: number, headers: HeaderFacts, body?: BodyFacts];

/** A request as its bytes; `head` holds header lines in the order they are sent. */
export function request(line: string, head: readonly string[] = [], body?: string): string {
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return `${[`${line} HTTP/1.1`, `Host: ${settings.host}`, ...head, ...length].join("\r\n")}\r\n\r\n${body ?? ""}`;
}

/** A request with JSON, as clients of the control routes send it. */
export function json(line: string, value: unknown): string {
  return request(line, ["Content-Type: application/json"], typeof value === "string" ? value : JSON.stringify(value));
}

/** The same request with a password. */
export function withAuthorization(bytes: string, authorization: string): string {
  return bytes.replace("\r\n", `\r\nAuthorization: ${authorization}\r\n`);
}

/** Fails with the name of the fact that does not hold. */
export function expectFacts(answer: RawResponse | undefined, [name, , status, headers, body]: Row): void {
  if (!answer) throw new Error(`${name}: the connection was closed without an answer`);
  expect({ status: answer.status, body: answer.body.slice(0, 500) }).toMatchObject({ status });
  for (const [header, fact] of Object.entries(headers)) expectHeader(header, answer.headers.get(header), fact);
  if (typeof body === "string") expect(answer.body).toBe(body);
  else if (typeof body === "function") body(answer.body);
  else if (body instanceof RegExp) expect(answer.body).toMatch(body);
  else if (body !== undefined) expectFields(JSON.parse(answer.body), body);
}

function expectHeader(name: string, values: readonly string[] | undefined, fact: HeaderFact): void {
  if (fact === ABSENT) expect([name, values]).toEqual([name, undefined]);
  else if (fact instanceof RegExp) expect([name, values]).toEqual([name, [expect.stringMatching(fact)]]);
  else expect([name, values?.map(lowerCharset)]).toEqual([name, typeof fact === "string" ? [fact] : fact]);
}

/** Go and Node spell it differently; RFC 9110 §8.3.2 has it without case. */
const lowerCharset = (value: string) => value.replace("charset=UTF-8", "charset=utf-8");

/** As `toMatchObject`: lists are whole, further fields of objects are allowed. Knows {@link ABSENT}. */
export function expectFields(value: unknown, facts: object): void {
  const [present, absent] = split(facts);
  expect(value).toMatchObject(present as Record<string, unknown>);
  for (const path of absent) expect(value).not.toHaveProperty(path);
}

/** A list that has one entry with such facts under its name; others may be there. */
export function listing<T extends { readonly name: string }>(facts: T): (body: string) => void {
  return (body) => {
    const named = (JSON.parse(body) as { name: string }[]).filter(({ name }) => name === facts.name);
    expect(named).toHaveLength(1);
    expectFields(named[0], facts);
  };
}

/** A list without an entry of this name. */
export function notListing(name: string): (body: string) => void {
  return (body) => {
    const list = JSON.parse(body) as { name: string }[];
    expect(list).toEqual(expect.any(Array));
    expect(list.map((entry) => entry.name)).not.toContain(name);
  };
}

/** A list of texts that has this one. */
export function including(text: string): (body: string) => void {
  return (body) => expect(JSON.parse(body)).toContain(text);
}

function split(facts: object, path: readonly string[] = []): [present: object, absent: string[][]] {
  if (Array.isArray(facts) || Object.getPrototypeOf(facts) !== Object.prototype) return [facts, []];
  const absent: string[][] = [];
  const present: Record<string, unknown> = {};
  for (const [key, fact] of Object.entries(facts)) {
    if (fact === ABSENT) absent.push([...path, key]);
    else if (typeof fact !== "object" || fact === null) present[key] = fact;
    else {
      const [inner, further] = split(fact, [...path, key]);
      present[key] = inner;
      absent.push(...further);
    }
  }
  return [present, absent];
}

/** Plain text, as all errors are. */
export const TEXT: HeaderFacts = { "content-type": "text/plain; charset=utf-8" };
/** What nobody serves. */
export const NO_ROUTE = [404, { ...TEXT, "x-content-type-options": "nosniff" }, "404 page not found\n"] as const;
/** An answer with JSON. */
export const JSON_TYPE: HeaderFacts = { "content-type": "application/json" };

/** What a classic watchdog's log tells of calls, without its times. */
export function linesOfCalls(log: string): string[] {
  const lines = log.split("\n").map((line) => line.replace(/^(<time>|\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d) /, ""));
  return lines.filter((line) => /^(Forking|Wrote|Duration|Killing|stderr:|Query|Path|Success)/.test(line));
}
