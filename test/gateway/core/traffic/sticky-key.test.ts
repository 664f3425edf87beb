import { expect, test } from "@jest/globals";
import { readStickyKey } from "../../../../gateway/core/traffic/sticky-key.ts";
import { readWantedVersion } from "../../../../gateway/core/traffic/wanted-version.ts";

const cookie = { kind: "cookie", ttlMs: 1_000 } as const;

test.each<[cookies: string | undefined, key: string | undefined]>([
  [undefined, undefined],
  ["fl-v-f=abc", "abc"],
  ["a=1; fl-v-f=abc; b=2", "abc"],
  ["a=1;fl-v-f=abc", "abc"],
  ["xfl-v-f=abc", undefined],
  ["fl-v-f2=abc", undefined],
  ["a=fl-v-f=abc", undefined],
  ["fl-v-f=", undefined],
  ["; ; ;", undefined],
])("the cookies %j have the key %j", (cookies, key) => {
  expect(readStickyKey(cookie, "fl-v-f", cookies === undefined ? {} : { cookie: cookies }, "/")).toBe(key);
});

test.each<[url: string, key: string | undefined]>([
  ["/", undefined],
  ["/?user=7", "7"],
  ["/a?b=1&user=7&user=8", "7"],
  ["/user=7", undefined],
  ["/?xuser=7", undefined],
])("the address %s has the key %j", (url, key) => {
  expect(readStickyKey({ kind: "query", name: "user" }, "", {}, url)).toBe(key);
});

test("a header is a key", () => {
  const sticky = { kind: "header", name: "x-user" } as const;
  expect(readStickyKey(sticky, "", { "x-user": "7" }, "/")).toBe("7");
  expect(readStickyKey(sticky, "", { "x-user": "" }, "/")).toBeUndefined();
});

const traffic = [
  { version: "v6", share: 9_000 },
  { version: "v7", share: 1_000 },
  { version: "v5", share: 0, tag: "old" },
];
const rollout = { from: "v6", to: "v7", phase: "step" } as never;

test.each<[asked: string, known: object, answer: object]>([
  ["v7", { version: "v6", traffic }, { version: "v7" }],
  ["v5", { version: "v6", traffic }, { version: "v5" }],
  ["old", { version: "v6", traffic }, { version: "v5" }],
  ["v4", { version: "v6", traffic }, { ignored: "v4 has no calls and no tag" }],
  ["older", { version: "v6", traffic }, { ignored: "there is no tag older" }],
  ["v6\r\nx: y", { version: "v6", traffic }, { ignored: "it is no version and no tag" }],
  ["candidate", { version: "v6", traffic }, { ignored: "no rollout is under way" }],
  ["candidate", { version: "v6", traffic, rollout }, { version: "v7" }],
  ["stable", { version: "v6", traffic, rollout }, { version: "v6" }],
  ["stable", { version: "v6", traffic }, { version: "v6" }],
  ["stable", { version: "v6" }, { version: "v6" }],
  ["v6", { version: "v6" }, { version: "v6" }],
  ["stable", {}, { ignored: "no version is known" }],
])("who asks for %j of %j gets %j", (asked, known, answer) => {
  expect(readWantedVersion(asked, known)).toEqual(answer);
});
