import { expect, test } from "@jest/globals";
import { SESSION_HEADER } from "../../../contract/ui/session.ts";
import { mentionsSession, withoutSession } from "../../../contract/ui/session-cookie.ts";
import { sealSession } from "../../../gateway/ui/sessions/sealed-session.ts";
import { type BegunSession, Sessions, sessionCookie } from "../../../gateway/ui/sessions/sessions.ts";

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

test("a token is made anew for pages whose origin is their own, and the one before is none any more", () => {
  const { sessions } = open();
  const begun = sessions.begin("admin");
  const again = sessions.renewToken({ cookie: shown(begun).cookie });
  expect(again).toMatchObject({ user: "admin" });
  expect(sessions.read(shown(again as BegunSession))).toMatchObject({ user: "admin" });
  expect(sessions.read({ ...shown(again as BegunSession), [SESSION_HEADER]: begun.token })).toBeUndefined();
  expect(sessions.renewToken({ cookie: "a=b" })).toBeUndefined();
});

test("the cookie is out of scripts' reach, and with TLS the host's alone", () => {
  expect(sessionCookie("x", false, 60_000)).toBe("fl_session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict");
  expect(sessionCookie("x", true, 60_000)).toBe(
    "__Host-fl_session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure",
  );
});

test.each([
  ["fl_session=x", ""],
  ["a=b; fl_session=x; c=d", "a=b; c=d"],
  ["__Host-fl_session=x; a=b", "a=b"],
  ["my_fl_session=x", "my_fl_session=x"],
  ["a=fl_session=x", "a=fl_session=x"],
  ["fl_session", "fl_session"],
])("functions get of the cookies %j only %j", (given, kept) => {
  expect(mentionsSession(given)).toBe(true);
  expect(withoutSession(given)).toBe(kept);
});
