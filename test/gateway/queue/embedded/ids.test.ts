import { randomBytes } from "node:crypto";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { SealedCallIds } from "../../../../gateway/queue/embedded/call-ids.ts";

const anyKey = fc
  .tuple(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.constantFrom(0, 1, 500, 2 ** 47))
  .map(([secret, hiddenFrom]) => ({ secret, hiddenFrom }));
const newKey = (hiddenFrom = 0) => ({ secret: randomBytes(32), hiddenFrom });
const anyPlace = fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: 2 ** 48 - 1 }));
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("an id is a UUID in form and leads back to its place", () => {
  fc.assert(
    fc.property(anyKey, anyPlace, (key, place) => {
      const id = new SealedCallIds(key).encode(place);
      expect(id).toMatch(UUID);
      expect(new SealedCallIds(key).decode(id)).toBe(place);
    }),
  );
});

test("an id changed in any digit is none", () => {
  fc.assert(
    fc.property(anyKey, anyPlace, fc.nat(35), fc.integer({ min: 1, max: 15 }), (key, place, at, by) => {
      const ids = new SealedCallIds(key);
      const id = ids.encode(place);
      fc.pre(id[at] !== "-");
      const digit = (Number.parseInt(id[at] as string, 16) ^ by).toString(16);
      expect(ids.decode(id.slice(0, at) + digit + id.slice(at + 1))).toBeUndefined();
    }),
  );
});

test("an id means nothing without the key of its file", () => {
  const ids = new SealedCallIds(newKey());
  const others = new SealedCallIds(newKey());
  for (let place = 1; place < 200; place++) expect(others.decode(ids.encode(place))).toBeUndefined();
});

test.each(["", "x", "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-00000000000", "é".repeat(36)])(
  "%j is no id",
  (text) => {
    expect(new SealedCallIds({ secret: new Uint8Array(32), hiddenFrom: 0 }).decode(text)).toBeUndefined();
  },
);

test("ids of neighbours have nothing in common to see", () => {
  const ids = new SealedCallIds(newKey());
  const starts = new Set(Array.from({ length: 500 }, (_, place) => ids.encode(place).slice(0, 8)));
  expect(starts.size).toBeGreaterThan(490);
});

test("without the key nothing in an id tells its place", () => {
  // As the older form told it: the last group was the mask of the first two.
  const placeIn = (id: string) => {
    const [high = "", low = "", , , mask = ""] = id.split("-");
    return Number(BigInt(`0x${high}${low}`) ^ BigInt(`0x${mask}`));
  };
  const ids = new SealedCallIds(newKey(500));
  for (let place = 1; place < 1000; place++) expect(placeIn(ids.encode(place)) === place).toBe(place < 500);
});

test("ids that an older release gave out lead to their calls, and stay theirs", () => {
  const key = { secret: Buffer.alloc(32, 7), hiddenFrom: 1000 };
  const ids = new SealedCallIds(key);
  // Made by that release.
  expect(ids.encode(1)).toBe("85a7093a-d21c-4ac8-9bd3-85a7093ad21d");
  expect(ids.encode(999)).toBe("ef48a1f0-f4f1-4a5b-9bff-ef48a1f0f716");
  expect(ids.decode("ef48a1f0-f4f1-4a5b-9bff-ef48a1f0f716")).toBe(999);
  const { encode } = { encode: (place: number) => new SealedCallIds({ ...key, hiddenFrom: 2 ** 48 }).encode(place) };
  // In their form, but never given out by it.
  expect(ids.decode(encode(1000))).toBeUndefined();
  expect(new SealedCallIds({ ...key, hiddenFrom: 0 }).decode("85a7093a-d21c-4ac8-9bd3-85a7093ad21d")).toBeUndefined();
});
