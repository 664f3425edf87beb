import { beforeEach, expect, test } from "@jest/globals";
import type { JSONWebKeySet } from "jose";
import { FLOOR_MS, FRESH_MS, KeySets, RETRY_MS, readKeySet, STALE_MS } from "../../../gateway/policies/key-sets.ts";

let now = 0;
let asked = 0;
let answer: () => Promise<JSONWebKeySet>;
const log: string[] = [];
const setOf = (kid: string): JSONWebKeySet => ({ keys: [{ kty: "OKP", kid }] });
const away = () => Promise.reject(new Error("away"));

beforeEach(() => {
  now = 1_000_000;
  asked = 0;
  log.length = 0;
  answer = async () => setOf("first");
});

const open = () =>
  new KeySets({
    log: {
      info: (_facts: unknown, text: unknown) => log.push(String(text)),
      warn: (_facts: unknown, text: unknown) => log.push(String(text)),
    } as never,
    now: () => now,
    fetch: () => {
      asked++;
      return answer();
    },
  }).of("https://id.test/keys");

const kidOf = (set: JSONWebKeySet | undefined) => set?.keys[0]?.kid;

/** Lets what goes on in the background come to its end. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test("keys are asked for once, by however many calls at a time", async () => {
  const set = open();
  await Promise.all(Array.from({ length: 50 }, () => set.keys()));
  now += FRESH_MS - 1;
  expect([kidOf(await set.keys()), asked]).toEqual(["first", 1]);
});

test("after a while they are renewed, and nobody waits for that", async () => {
  const set = open();
  await set.keys();
  answer = async () => setOf("second");
  now += FRESH_MS;
  expect(kidOf(await set.keys())).toBe("first");
  await settle();
  expect([kidOf(await set.keys()), asked]).toEqual(["second", 2]);
});

test("while the issuer is away they serve on, but not for ever, and it is not asked all the time", async () => {
  const set = open();
  await set.keys();
  answer = away;
  for (let i = 0; i < 100; i++) {
    now += (STALE_MS - 1) / 100;
    expect(kidOf(await set.keys())).toBe("first");
    expect(kidOf(await set.keys())).toBe("first");
    await settle();
  }
  expect(asked).toBeLessThanOrEqual(101);
  now += 1;
  await expect(set.keys()).rejects.toThrow("cannot be had");
  answer = async () => setOf("second");
  now += RETRY_MS;
  expect(kidOf(await set.keys())).toBe("second");
  expect(log).toEqual([
    "the keys of an issuer of tokens cannot be had",
    "the keys of an issuer of tokens can be had again",
  ]);
});

test("an issuer that has never answered is left alone between two tries", async () => {
  const set = open();
  answer = away;
  for (let i = 0; i < 20; i++) await expect(set.keys()).rejects.toThrow("cannot be had");
  expect(asked).toBe(1);
  now += RETRY_MS;
  await expect(set.keys()).rejects.toThrow("cannot be had");
  expect(asked).toBe(2);
});

test("a key that is not known has the issuer asked, but seldom", async () => {
  const set = open();
  await set.keys();
  answer = async () => setOf("second");
  for (let i = 0; i < 20; i++) expect(await set.renewed()).toBeUndefined();
  expect(asked).toBe(1);
  now += FLOOR_MS;
  expect(kidOf(await set.renewed())).toBe("second");
  for (let i = 0; i < 20; i++) expect(await set.renewed()).toBeUndefined();
  expect(asked).toBe(2);
});

test.each([
  "",
  "[]",
  "{}",
  '{"keys":{}}',
  '{"keys":[1]}',
  '{"keys":[{"kid":"a"}]}',
  `{"keys":[${'{"kty":"RSA"},'.repeat(100)}{"kty":"RSA"}]}`,
  "{".repeat(5000),
])("%# is no set of keys", (text) => {
  expect(() => readKeySet(text)).toThrow();
});
