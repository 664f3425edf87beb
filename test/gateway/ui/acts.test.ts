import { expect, test } from "@jest/globals";
import { command, curlOf, quote, withQuery } from "../../../gateway/ui/browser/act.ts";
import {
  cancelAct,
  letterAct,
  matchingAct,
  purgeAct,
  selectedAct,
} from "../../../gateway/ui/browser/screens/queue/acts.ts";
import { readableText } from "../../../gateway/ui/browser/screens/queue/readable-text.ts";

test.each([
  ["order.created", "order.created"],
  ["/shop", "/shop"],
  ["two words", "'two words'"],
  ["it's $HOME", "'it'\\''s $HOME'"],
  ["", "''"],
  ["a\nb", "'a\nb'"],
])("the word %j is written %s for a shell", (word, written) => {
  expect(quote(word)).toBe(written);
});

test("a request is written as curl takes it, and nothing in it is a shell's", () => {
  expect(curlOf({ path: withQuery("/system/queue", { function: 'a"$(rm)`', since: "" }) })).toBe(
    'curl -u admin:$PASSWORD "$GATEWAY/system/queue?function=a%22%24%28rm%29%60"',
  );
  expect(curlOf({ method: "PUT", path: "/x", body: { a: "it's" } })).toBe(
    `curl -u admin:$PASSWORD -X PUT "$GATEWAY/x" -H 'Content-Type: application/json' -d '{"a":"it'\\''s"}'`,
  );
  expect(command("faaslane", undefined, "a b")).toBe("faaslane 'a b'");
});

test("one dead letter, some and all that match are replayed by requests that name them", () => {
  expect(letterAct("replay", "a").request).toEqual({ method: "POST", path: "/system/queue/dead-letters?id=a" });
  const some = selectedAct("drop", ["a", "b"]);
  expect([some.title, some.cli.split("\n").length, some.isDangerous]).toEqual(["Drop 2 dead letters", 2, true]);
  const filter = { function: "f.ns", since: "1h", until: "" };
  const all = matchingAct("replay", filter, { count: 1, more: false, until: "2030-01-31T12:00:00.000Z" });
  expect(all.title).toBe("Replay 1 dead letter");
  // What dies after they were counted is not meant.
  expect(all.request.path).toBe("/system/queue/dead-letters?function=f.ns&since=1h&until=2030-01-31T12%3A00%3A00.000Z");
  expect(all.cli).toBe("faaslane queue dead-letters replay f -n ns --since 1h --until 2030-01-31T12:00:00.000Z");
  const many = matchingAct("drop", { function: "", since: "", until: "x" }, { count: 9, more: true, until: "y" });
  expect([many.title, many.request.path]).toEqual([
    "Drop more than 9 dead letters",
    "/system/queue/dead-letters?until=x",
  ]);
});

test("a call is cancelled by its id, and what waits for a function by its name", () => {
  expect(cancelAct("a&b").request).toEqual({ method: "DELETE", path: "/system/queue/call?id=a%26b" });
  expect(purgeAct("f.ns").cli).toBe("faaslane queue purge f -n ns");
});

test.each([
  [new TextEncoder().encode("plain\u001b[31m\u202etext"), "plain�text"],
  [new TextEncoder().encode("cut é").subarray(0, 5), "cut "],
  [Uint8Array.of(0xff, 0xfe, 0x00), "No text; in hex: ff fe 00"],
  [Uint8Array.of(97, 0, 98), "No text; in hex: 61 00 62"],
])("the body %j is shown as %j", (bytes, shown) => {
  expect(readableText(bytes)).toBe(shown);
});
