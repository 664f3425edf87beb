import { describe, expect, test } from "@jest/globals";
import { applyJsonPatch } from "../support/kube/patches/json-patch.ts";
import { applyMergePatch } from "../support/kube/patches/merge-patch.ts";
import { applyStrategicPatch } from "../support/kube/patches/strategic.ts";
import { TypeLibrary } from "../support/kube/schema/notation.ts";
import type { Fields } from "../support/kube/types.ts";

describe("a JSON patch", () => {
  const target = { a: { b: [1, 2, 3] }, "x/y": 1, "~": 2 };

  test.each<[op: Fields, expected: unknown]>([
    [
      { op: "add", path: "/a/c", value: 1 },
      { ...target, a: { b: [1, 2, 3], c: 1 } },
    ],
    [
      { op: "add", path: "/a/b/1", value: 9 },
      { ...target, a: { b: [1, 9, 2, 3] } },
    ],
    [
      { op: "add", path: "/a/b/-", value: 4 },
      { ...target, a: { b: [1, 2, 3, 4] } },
    ],
    [
      { op: "replace", path: "/a/b/0", value: 9 },
      { ...target, a: { b: [9, 2, 3] } },
    ],
    [
      { op: "remove", path: "/a/b/2" },
      { ...target, a: { b: [1, 2] } },
    ],
    [
      { op: "replace", path: "/x~1y", value: 3 },
      { ...target, "x/y": 3 },
    ],
    [
      { op: "remove", path: "/~0" },
      { a: target.a, "x/y": 1 },
    ],
    [
      { op: "move", from: "/x~1y", path: "/z" },
      { a: target.a, "~": 2, z: 1 },
    ],
    [
      { op: "copy", from: "/a/b", path: "/c" },
      { ...target, c: [1, 2, 3] },
    ],
    [{ op: "test", path: "/a/b", value: [1, 2, 3] }, target],
    [{ op: "replace", path: "", value: { new: true } }, { new: true }],
  ])("%j", (op, expected) => {
    expect(applyJsonPatch(target, [op])).toEqual(expected);
    expect(target).toEqual({ a: { b: [1, 2, 3] }, "x/y": 1, "~": 2 });
  });

  test.each<[patch: unknown, status: number]>([
    [{}, 400],
    [[1], 400],
    [[{ op: "jump", path: "/a" }], 400],
    [[{ op: "add", value: 1 }], 400],
    [[{ op: "add", path: "a", value: 1 }], 400],
    [[{ op: "remove", path: "/none" }], 422],
    [[{ op: "replace", path: "/none/x", value: 1 }], 422],
    [[{ op: "add", path: "/a/b/9", value: 1 }], 422],
    [[{ op: "test", path: "/a", value: 1 }], 422],
  ])("%j is refused with %i", (patch, status) => {
    expect(() => applyJsonPatch(target, patch)).toThrow(expect.objectContaining({ code: status }));
  });
});

test.each<[target: unknown, patch: unknown, expected: unknown]>([
  [{ a: 1, b: 2 }, { b: null }, { a: 1 }],
  [{ a: { b: 1, c: 2 } }, { a: { b: 3 } }, { a: { b: 3, c: 2 } }],
  [{ a: [1, 2] }, { a: [3] }, { a: [3] }],
  [{ a: "x" }, { a: { b: null, c: 1 } }, { a: { c: 1 } }],
  [{}, { a: { b: null } }, { a: {} }],
])("the merge patch of %j with %j", (target, patch, expected) => {
  expect(applyMergePatch(target, patch)).toEqual(expected);
});

describe("a strategic merge patch", () => {
  const podSpec = TypeLibrary.load().struct("PodSpec");
  const target = {
    containers: [
      {
        name: "a",
        image: "1",
        env: [
          { name: "x", value: "1" },
          { name: "y", value: "2" },
        ],
        args: ["1"],
      },
      { name: "b", image: "1" },
    ],
    tolerations: [{ key: "t" }],
    nodeSelector: { zone: "1" },
    volumes: [{ name: "v", emptyDir: {} }],
  };

  test.each<[what: string, patch: Fields, expected: Fields]>([
    [
      "merges items by key",
      { containers: [{ name: "b", image: "2" }] },
      { containers: [target.containers[0], { name: "b", image: "2" }] },
    ],
    [
      "adds items",
      { containers: [{ name: "c", image: "3" }] },
      { containers: [...target.containers, { name: "c", image: "3" }] },
    ],
    ["deletes items", { containers: [{ name: "a", $patch: "delete" }] }, { containers: [target.containers[1]] }],
    [
      "replaces lists on demand",
      { containers: [{ name: "z" }, { $patch: "replace" }] },
      { containers: [{ name: "z" }] },
    ],
    [
      "goes deep",
      { containers: [{ name: "a", env: [{ name: "x", value: "9" }], args: null }] },
      {
        containers: [
          {
            name: "a",
            image: "1",
            env: [
              { name: "x", value: "9" },
              { name: "y", value: "2" },
            ],
          },
          target.containers[1],
        ],
      },
    ],
    ["replaces atomic lists", { tolerations: [{ key: "u" }] }, { tolerations: [{ key: "u" }] }],
    ["merges maps", { nodeSelector: { disk: "ssd" } }, { nodeSelector: { zone: "1", disk: "ssd" } }],
    [
      "replaces objects on demand",
      { nodeSelector: { $patch: "replace", disk: "ssd" } },
      { nodeSelector: { disk: "ssd" } },
    ],
    ["removes what is null", { nodeSelector: null }, { nodeSelector: undefined }],
    [
      "keeps only the keys to retain",
      { volumes: [{ $retainKeys: ["name", "secret"], name: "v", secret: { secretName: "s" } }] },
      { volumes: [{ name: "v", secret: { secretName: "s" } }] },
    ],
    [
      "orders",
      { "$setElementOrder/containers": [{ name: "b" }, { name: "a" }], containers: [{ name: "b", image: "2" }] },
      { containers: [{ name: "b", image: "2" }, target.containers[0]] },
    ],
  ])("%s", (_what, patch, expected) => {
    expect(applyStrategicPatch(podSpec, target, patch)).toEqual({ ...target, ...expected });
  });

  test("deletes from lists of plain values", () => {
    const meta = TypeLibrary.load().struct("ObjectMeta");
    const patched = applyStrategicPatch(
      meta,
      { finalizers: ["a", "b"] },
      { "$deleteFromPrimitiveList/finalizers": ["a"], finalizers: ["c"] },
    );
    expect(patched).toEqual({ finalizers: ["b", "c"] });
  });

  test.each<[patch: Fields]>([[{ containers: [{ image: "2" }] }], [{ nodeSelector: { $patch: "explode" } }]])(
    "%j is refused",
    (patch) => {
      expect(() => applyStrategicPatch(podSpec, target, patch)).toThrow(expect.objectContaining({ code: 400 }));
    },
  );
});
