import { randomBytes } from "node:crypto";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { CallIds } from "../../../gateway/queue/embedded-ids.ts";

const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 });
const anyPlace = fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: 2 ** 48 - 1 }));
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("an id is a UUID in form and leads back to its place", () => {
  fc.assert(
    fc.property(anyKey, anyPlace, (key, place) => {
      const id = new CallIds(key).encode(place);
      expect(id).toMatch(UUID);
      expect(new CallIds(key).decode(id)).toBe(place);
    }),
  );
});

test("an id changed in any digit is none", () => {
  fc.assert(
    fc.property(anyKey, anyPlace, fc.nat(35), fc.integer({ min: 1, max: 15 }), (key, place, at, by) => {
      const ids = new CallIds(key);
      const id = ids.encode(place);
      fc.pre(id[at] !== "-");
      const digit = (Number.parseInt(id[at] as string, 16) ^ by).toString(16);
      expect(ids.decode(id.slice(0, at) + digit + id.slice(at + 1))).toBeUndefined();
    }),
  );
});

test("an id means nothing without the key of its file", () => {
  const ids = new CallIds(randomBytes(32));
  const others = new CallIds(randomBytes(32));
  for (let place = 1; place < 200; place++) expect(others.decode(ids.encode(place))).toBeUndefined();
});

test.each(["", "x", "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-00000000000", "é".repeat(36)])(
  "%j is no id",
  (text) => {
    expect(new CallIds(new Uint8Array(32)).decode(text)).toBeUndefined();
  },
);

test("ids of neighbours have nothing in common to see", () => {
  const ids = new CallIds(randomBytes(32));
  const starts = new Set(Array.from({ length: 500 }, (_, place) => ids.encode(place).slice(0, 8)));
  expect(starts.size).toBeGreaterThan(490);
});
