import { expect, test } from "@jest/globals";
import { keepOrder, rowWindow, sortRows } from "../../../gateway/ui/browser/components/row-window.ts";

/** `40+[40..70]+930`: room for forty rows, thirty rows, and room. */
const drawn = (...given: Parameters<typeof rowWindow>) =>
  rowWindow(...given)
    .map((piece) => (piece.kind === "space" ? String(piece.rows) : `[${piece.from}..${piece.to}]`))
    .join("+");

test.each([
  ["the beginning", { count: 1_000, top: 0, visible: 20 }, "[0..50]+950"],
  ["the middle", { count: 1_000, top: 500, visible: 20 }, "480+[480..550]+450"],
  ["the end", { count: 1_000, top: 980, visible: 20 }, "960+[960..1000]"],
  ["beyond the end, as rows are gone", { count: 100, top: 980, visible: 20 }, "60+[60..100]"],
  ["less than can be seen", { count: 5, top: 0, visible: 20 }, "[0..5]"],
  ["nothing", { count: 0, top: 0, visible: 20 }, ""],
  ["a focus above", { count: 1_000, top: 500, visible: 20, pinned: 2 }, "1+[1..4]+476+[480..550]+450"],
  ["a focus below", { count: 1_000, top: 0, visible: 20, pinned: 999 }, "[0..50]+948+[998..1000]"],
  ["a focus within", { count: 1_000, top: 0, visible: 20, pinned: 10 }, "[0..50]+950"],
  ["a focus at the edge", { count: 1_000, top: 500, visible: 20, pinned: 479 }, "478+[478..481]+[481..550]+450"],
  ["a focus on a row that is gone", { count: 1_000, top: 0, visible: 20, pinned: -1 }, "[0..50]+950"],
])("of a long table %s is in the page", (_what, scrolled, pieces) => {
  expect(drawn(scrolled)).toBe(pieces);
});

test("rows are in the order of numbers or of names, and as they come without one", () => {
  const rows = [
    { n: 10, name: "f10" },
    { n: 9, name: "f9" },
    { n: 100, name: "F1" },
  ] as const;
  const names = (...order: [by: ((row: (typeof rows)[number]) => number | string) | undefined, descends: boolean]) =>
    sortRows<(typeof rows)[number]>(rows, { by: order[0], descends: order[1] }).map(({ name }) => name);
  expect(names(({ n }) => n, false)).toEqual(["f9", "f10", "F1"]);
  expect(names(({ n }) => n, true)).toEqual(["F1", "f10", "f9"]);
  expect(names(({ name }) => name, false)).toEqual(["F1", "f9", "f10"]);
  expect(names(undefined, false)).toEqual(["f10", "f9", "F1"]);
});

test("rows keep their places while they are the same, whatever they say", () => {
  const keyOf = ({ key }: { key: string }) => key;
  const rows = [{ key: "a" }, { key: "b" }];
  expect(keepOrder(rows, keyOf, ["b", "a"])).toEqual([rows[1], rows[0]]);
  expect(keepOrder(rows, keyOf, ["b", "c"])).toBeUndefined();
  expect(keepOrder(rows, keyOf, ["a"])).toBeUndefined();
});
