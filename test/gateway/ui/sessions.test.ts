import { expect, test } from "@jest/globals";
import { SESSION_HEADER, UNATTENDED_HEADER } from "../../../contract/ui/session.ts";
import { keepSessionApart, mentionsSession, withoutSession } from "../../../contract/ui/session-cookie.ts";
import { sealSession } from "../../../gateway/ui/sessions/sealed-session.ts";
import { type BegunSession, Sessions, sessionCookies } from "../../../gateway/ui/sessions/sessions.ts";

const CREDENTIALS = { user: "admin", password: "let me in" };
const LIMITS = { idleMs: 60 * 60_000, maxMs: 8 * 60 * 60_000 };
const MINUTE = 60_000;

function open(credentials = CREDENTIALS) {
  const clock = { now: 1_800_000_000_000 };
  return { clock, sessions: new Sessions({ credentials, limits: LIMITS, now: () => clock.now }) };
}

const shown = ({ cookie, token }: Pick<BegunSession, "cookie" | "token">) => ({
  cookie: `theme=dark; fl_session=${cookie}`,
  [SESSION_HEADER]: token,
});

test("a request shows its session by cookie and header, and by neither alone", () => {
  const { sessions } = open();
  const begun = sessions.begin("admin");
  expect(sessions.read(shown(begun))).toMatchObject({ user: "admin", renewed: undefined });
  const { cookie, ...header } = shown(begun);
  expect(sessions.read({ cookie })).toBeUndefined();
  expect(sessions.read(header)).toBeUndefined();
  expect(sessions.read({ ...shown(begun), [SESSION_HEADER]: sessions.begin("admin").token })).toBeUndefined();
  expect(sessions.read({ ...shown(begun), [SESSION_HEADER]: "" })).toBeUndefined();
});

test("a session ends when it is not used, and after a day's work whatever is done", () => {
  const { sessions, clock } = open();
  const begun = sessions.begin("admin");
  clock.now += 59 * MINUTE;
  const renewed = sessions.read(shown(begun))?.renewed as string;
  expect(renewed).toEqual(expect.any(String));
  clock.now += 2 * MINUTE;
  expect(sessions.read(shown(begun))).toBeUndefined();
  let current = { ...begun, cookie: renewed };
  for (let at = 0; at < 13; at++) {
    clock.now += 30 * MINUTE;
    current = { ...current, cookie: sessions.read(shown(current))?.renewed ?? current.cookie };
  }
  expect(sessions.read(shown(current))).toMatchObject({ user: "admin" });
  clock.now += 30 * MINUTE;
  expect(sessions.read(shown(current))).toBeUndefined();
});

test("who signs out is out, by older cookies of the session too", () => {
  const { sessions, clock } = open();
  const begun = sessions.begin("admin");
  const other = sessions.begin("admin");
  clock.now += 2 * MINUTE;
  const renewed = sessions.read(shown(begun))?.renewed as string;
  sessions.end(shown({ ...begun, cookie: renewed }));
  expect(sessions.read(shown(begun))).toBeUndefined();
  expect(sessions.read(shown({ ...begun, cookie: renewed }))).toBeUndefined();
  expect(sessions.read(shown(other))).toMatchObject({ user: "admin" });
});

test("another password ends all sessions; the same one on another gateway does not", () => {
  const { sessions } = open();
  const begun = sessions.begin("admin");
  expect(open().sessions.read(shown(begun))).toMatchObject({ user: "admin" });
  expect(open({ user: "admin", password: "other" }).sessions.read(shown(begun))).toBeUndefined();
});

test.each([
  ["cut short", (cookie: string) => cookie.slice(0, 20)],
  [
    "changed by a byte",
    (cookie: string) => `${cookie.slice(0, -3)}${cookie.at(-3) === "A" ? "B" : "A"}${cookie.slice(-2)}`,
  ],
  ["empty", () => ""],
  ["endless", (cookie: string) => cookie.padEnd(5_000, "A")],
  [
    "from a clock far ahead",
    () => {
      const record = { id: "a", user: "admin", token: "t", begunAt: 1_900_000_000_000, seenAt: 1_900_000_000_000 };
      return sealSession(record, CREDENTIALS);
    },
  ],
])("a cookie that is %s is none", (_what, change) => {
  const { sessions } = open();
  const begun = sessions.begin("admin");
  expect(sessions.read(shown({ ...begun, cookie: change(begun.cookie) }))).toBeUndefined();
});

test("the token is told again to pages whose origin is their own, and those that have it go on", () => {
  const { sessions } = open();
  const begun = sessions.begin("admin");
  const again = sessions.tell({ cookie: shown(begun).cookie }) as BegunSession;
  expect(again).toMatchObject({ user: "admin", token: begun.token });
  expect(sessions.read(shown(again))).toMatchObject({ user: "admin" });
  expect(sessions.tell({ cookie: "a=b" })).toBeUndefined();
});

test("who signs in again in the same browser goes on with the session; other people's are not theirs", () => {
  const { sessions, clock } = open();
  const begun = sessions.begin("admin");
  clock.now += 7 * 60 * MINUTE;
  const kept = { ...begun, cookie: begun.cookie };
  expect(sessions.begin("admin", shown(kept)).token).not.toBe(begun.token); // it is over
  const first = sessions.begin("admin");
  clock.now += 30 * MINUTE;
  const second = sessions.begin("admin", { cookie: shown(first).cookie });
  expect([second.token, second.endsAt]).toEqual([first.token, clock.now + LIMITS.maxMs]);
  expect(sessions.begin("other", shown(first)).token).not.toBe(first.token);
  sessions.end(shown(second));
  expect(sessions.read(shown(first))).toBeUndefined();
  expect(sessions.begin("admin", shown(first)).token).not.toBe(first.token);
});

test("what the page asks by itself while nobody uses it does not make the session longer", () => {
  const { sessions, clock } = open();
  const begun = sessions.begin("admin");
  clock.now += 30 * MINUTE;
  expect(sessions.read({ ...shown(begun), [UNATTENDED_HEADER]: "1" })).toMatchObject({ renewed: undefined });
  const seen = sessions.read(shown(begun));
  expect(seen?.idleEndsAt).toBe(clock.now + LIMITS.idleMs);
  clock.now += 59 * MINUTE;
  expect(seen?.holds()).toBe(true);
  clock.now += 2 * MINUTE;
  expect(seen?.holds()).toBe(false);
});

test("a session that is to end soon is renewed sooner", () => {
  const clock = { now: 1_800_000_000_000 };
  const limits = { idleMs: 20_000, maxMs: 60_000 };
  const sessions = new Sessions({ credentials: CREDENTIALS, limits, now: () => clock.now });
  const begun = sessions.begin("admin");
  clock.now += 6_000;
  expect(sessions.read(shown(begun))?.renewed).toEqual(expect.any(String));
});

test("the cookie is out of scripts' reach, and with TLS the host's alone; the one beside it tells nothing", () => {
  expect(sessionCookies("x", false, 60_000)).toEqual([
    "fl_session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict",
    "fl_session_near=1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax",
  ]);
  expect(sessionCookies("x", true, 60_000)).toEqual([
    "__Host-fl_session=x; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Strict",
    "__Host-fl_session_near=1; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax",
  ]);
});

test.each([
  ["fl_session=x; Path=/", undefined],
  ["__Host-fl_session=x; Path=/; Secure", undefined],
  [" fl_session_near =; Max-Age=0", undefined],
  [["theme=dark", "fl_session=; Max-Age=0"], ["theme=dark"]],
  ["my_fl_session=x", ["my_fl_session=x"]],
])("of the cookies %j a function sets %j", (given, kept) => {
  const headers: Record<string, string | string[]> = { "set-cookie": given };
  keepSessionApart(headers, false);
  expect(headers).toEqual(kept === undefined ? {} : { "set-cookie": kept });
});

test.each([
  ["fl_session=x", ""],
  ["a=b; fl_session=x; c=d", "a=b; c=d"],
  ["__Host-fl_session=x; a=b", "a=b"],
  ["fl_session_near=1; a=b", "a=b"],
  ["my_fl_session=x", "my_fl_session=x"],
  ["a=fl_session=x", "a=fl_session=x"],
  ["fl_session", "fl_session"],
])("functions get of the cookies %j only %j", (given, kept) => {
  expect(mentionsSession(given)).toBe(true);
  expect(withoutSession(given)).toBe(kept);
});
