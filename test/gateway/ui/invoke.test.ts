import { expect, test } from "@jest/globals";
import {
  type CallForm,
  callCommands,
  callHeaders,
  callPath,
  callProblems,
  NEW_CALL,
  withoutSecrets,
} from "../../../gateway/ui/browser/screens/function/invoke/call-form.ts";
import {
  forgetCalls,
  type Kept,
  keepCall,
  readCalls,
} from "../../../gateway/ui/browser/screens/function/invoke/history.ts";
import { MAX_ANSWER_BYTES, readSome, textOf } from "../../../gateway/ui/browser/screens/function/invoke/read-answer.ts";

const PART = { name: "a", namespace: "fn" };
const call = (given: Partial<CallForm>): CallForm => ({ ...NEW_CALL, ...given });
const pair = (key: string, value: string) => ({ key, value });

test.each<[given: Partial<CallForm>, path: string]>([
  [{}, "/function/a.fn"],
  [{ path: "users", query: "?limit=5" }, "/function/a.fn/users?limit=5"],
  [{ path: "/a b/%20/ü", query: "q=a b&x=#1" }, "/function/a.fn/a%20b/%20/%C3%BC?q=a%20b&x=%231"],
  [{ path: "/users?a=1", query: "b=2" }, "/function/a.fn/users?a=1&b=2"],
  [{ path: "/\ud83d\ude00" }, "/function/a.fn/%F0%9F%98%80"],
  [{ asynchronous: true, path: "/x" }, "/async-function/a.fn/x"],
])("the call %j goes to %s", (given, path) => {
  expect(callPath(PART, call(given))).toBe(path);
});

test.each<[given: Partial<CallForm>, problems: object]>([
  [{ path: "/a.b/..c", headers: [pair("", ""), pair("x-a", "ü")] }, {}],
  [{ path: "/../../system/functions" }, { path: "must not lead elsewhere with . or .." }],
  [{ path: "/%2e%2E/x" }, { path: "must not lead elsewhere with . or .." }],
  [{ path: "\\..\\x" }, { path: "must not lead elsewhere with . or .." }],
  [{ headers: [pair("a b", "x")] }, { headers: '"a b" cannot name a header' }],
  [{ headers: [pair("", "x")] }, { headers: '"" cannot name a header' }],
  [{ headers: [pair("Cookie", "a=b")] }, { headers: "Cookie is set by the browser alone; curl can send it" }],
  [{ headers: [pair("X-Faaslane-Session", "x")] }, { headers: "X-Faaslane-Session is the page's own" }],
  [{ headers: [pair("x-a", "a\r\nb: c")] }, { headers: "x-a: must be of Latin characters" }],
  [{ callback: "ftp://x", delay: "soon" }, {}],
  [
    { asynchronous: true, callback: "ftp://x", delay: "soon" },
    { callback: "must be an http or https URL", delay: "must be a duration such as 90 or 1m30s" },
  ],
])("the call %j has the problems %j", (given, problems) => {
  expect(callProblems(call(given))).toEqual(problems);
});

test("its headers are those that were given, over those that the form stands for", () => {
  expect(callHeaders(call({ method: "GET" }))).toEqual({ accept: "*/*" });
  const form = call({
    asynchronous: true,
    method: "GET",
    callback: "http://c",
    delay: "90",
    headers: [pair("Accept", "a/b")],
  });
  expect(callHeaders(form)).toEqual({
    accept: "a/b",
    "content-type": "text/plain",
    "x-callback-url": "http://c",
    "x-delay": "90",
  });
});

test("the same call can be made by a shell, which acts upon nothing in it", () => {
  const form = call({ path: "/x", query: "q=$(reboot)", headers: [pair("X-A", "it's")], body: "$HOME '" });
  const { cli, curl } = callCommands(PART, form);
  expect(cli).toBe(
    `printf %s '$HOME '\\''' | faaslane invoke a -n fn --content-type text/plain --query 'q=$(reboot)' -H 'x-a: it'\\''s'\n# the path below the function: by curl`,
  );
  expect(curl).toBe(
    `curl -X POST "$GATEWAY/function/a.fn/x?q=\\$(reboot)" -H 'content-type: text/plain' -H 'x-a: it'\\''s' --data-binary '$HOME '\\'''`,
  );
});

test.each<[what: string, given: Partial<CallForm>, kept: Partial<CallForm>]>([
  ["what is harmless", { body: '{"name":"Ada"}', query: "a=1" }, { body: '{"name":"Ada"}', query: "a=1" }],
  [
    "headers with credentials",
    { headers: [pair("Authorization", "Bearer x"), pair("x-a", "1")] },
    { headers: [pair("x-a", "1")] },
  ],
  ["secret parameters", { query: "api_key=hunter2&a=1" }, { query: "api_key=[redacted]&a=1" }],
  ["a callback's parameters", { callback: "https://u:p@c/?t=1" }, { callback: "https://[redacted]@c/?t=[redacted]" }],
  ["a body with a password", { body: '{"user":"a","password":"hunter2"}' }, { body: "" }],
  ["a form with a token", { body: "a=1&token=hunter2" }, { body: "" }],
  ["a long body", { body: "x".repeat(5_000) }, { body: "" }],
])("of a call is kept, without secrets: %s", (_what, given, kept) => {
  expect(withoutSecrets(call(given))).toEqual(call(kept));
});

function storage(roomChars = Number.POSITIVE_INFINITY): Kept & { readonly all: Map<string, string> } {
  const all = new Map<string, string>();
  return {
    all,
    get length() {
      return all.size;
    },
    key: (at) => [...all.keys()][at] ?? null,
    getItem: (key) => all.get(key) ?? null,
    setItem: (key, value) => {
      if (value.length > roomChars) throw new Error("QuotaExceededError");
      all.set(key, value);
    },
    removeItem: (key) => void all.delete(key),
  };
}

test("the last twenty calls of a function are kept, and forgotten", () => {
  const kept = storage();
  for (let at = 0; at < 30; at++) keepCall(PART, { at, form: call({ query: `n=${at}` }), status: 200, ms: 1 }, kept);
  keepCall({ name: "b", namespace: "fn" }, { at: 1, form: NEW_CALL, status: 200, ms: 1 }, kept);
  kept.all.set("faaslane-session", "token");
  const calls = readCalls(PART, kept);
  expect([calls.length, calls[0]?.at, calls.at(-1)?.at]).toEqual([20, 29, 10]);
  forgetCalls(kept, PART);
  expect([...kept.all.keys()]).toEqual(["faaslane-calls b.fn", "faaslane-session"]);
  forgetCalls(kept);
  expect([...kept.all.keys()]).toEqual(["faaslane-session"]);
});

test("calls of many functions do not fill the tab, and neither a full one nor nonsense in it is a problem", () => {
  const kept = storage();
  for (let n = 0; n < 120; n++)
    keepCall({ name: `f${n}`, namespace: "fn" }, { at: n, form: NEW_CALL, status: 200, ms: 1 }, kept);
  expect(kept.all.size).toBeLessThanOrEqual(50);
  const full = storage(10);
  expect(keepCall(PART, { at: 1, form: NEW_CALL, status: 200, ms: 1 }, full)).toHaveLength(1);
  expect(readCalls(PART, full)).toEqual([]);
  for (const text of ["{", "null", '{"a":1}', "[1,null,{}]"]) {
    kept.all.set("faaslane-calls a.fn", text);
    expect(readCalls(PART, kept)).toEqual([]);
  }
});

test("an answer without end is cut, and not waited for", async () => {
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(100_000).fill(0x61)),
    cancel: () => {
      isCancelled = true;
    },
  });
  const { bytes, isCut } = await readSome({ body: body as never });
  expect([bytes.length, isCut, isCancelled]).toEqual([MAX_ANSWER_BYTES, true, true]);
  expect(await readSome(new Response("hi"))).toMatchObject({ isCut: false });
  expect((await readSome(new Response(null))).bytes).toHaveLength(0);
});

test.each<[bytes: number[], isCut: boolean, text: string | undefined]>([
  [[0x68, 0x69], false, "hi"],
  [[0xc3, 0xbc], false, "ü"],
  [[0x68, 0xc3], true, "h"],
  [[0x68, 0xc3], false, undefined],
  [[0xff], true, undefined],
  [[0x68, 0], false, undefined],
])("the bytes %j of an answer (cut: %s) are the text %j", (bytes, isCut, text) => {
  expect(textOf({ bytes: Uint8Array.from(bytes), isCut })).toBe(text);
});
