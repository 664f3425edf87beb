import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ERROR_HEADER } from "../../../contract/error-codes.ts";
import { SESSION_HEADER, type UiSession } from "../../../contract/ui/session.ts";
import { GuardedGateway } from "../../support/guarded-gateway.ts";

const CREDENTIALS = { user: "admin", password: "let me in" };
const JSON_TYPE = { "content-type": "application/json" };

let on: GuardedGateway;
let readOnly: GuardedGateway;
let off: GuardedGateway;
beforeAll(async () => {
  on = await GuardedGateway.open({}, CREDENTIALS);
  readOnly = await GuardedGateway.open({ ui_read_only: "true" }, CREDENTIALS);
  off = await GuardedGateway.open({ ui: "off" }, CREDENTIALS);
});
afterAll(async () => {
  await on?.close();
  await readOnly?.close();
  await off?.close();
});

async function signIn(gateway: GuardedGateway, password = CREDENTIALS.password) {
  const body = JSON.stringify({ user: CREDENTIALS.user, password });
  const answer = await fetch(`${gateway.url}/ui/api/session`, { method: "POST", headers: JSON_TYPE, body });
  const [setCookie] = answer.headers.getSetCookie();
  return { answer, setCookie, said: answer.ok ? ((await answer.json()) as UiSession) : undefined };
}

/** Headers of somebody who has signed in. */
async function signedIn(gateway: GuardedGateway) {
  const { setCookie = "", said } = await signIn(gateway);
  return { cookie: setCookie.split(";")[0] as string, [SESSION_HEADER]: said?.token as string };
}

const statusOf = async (url: string, init?: RequestInit) => {
  const answer = await fetch(url, init);
  await answer.body?.cancel();
  return [answer.status, answer.headers.get(ERROR_HEADER)];
};

test("browsers get the page at every address of a screen, and nothing from elsewhere runs in it", async () => {
  for (const path of ["/ui/", "/ui/functions/openfaas-fn/a/logs?level=error"]) {
    const answer = await fetch(on.url + path, { headers: { accept: "text/html,*/*;q=0.8" } });
    const html = await answer.text();
    expect([answer.status, answer.headers.get("cache-control")]).toEqual([200, "no-store"]);
    expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(answer.headers.get("content-security-policy")).not.toContain("unsafe");
    expect(html).not.toMatch(/<script(?![^>]* src="\/ui\/assets\/)|style=|onload=/);
    const [, script = ""] = /src="([^"]+)"/.exec(html) ?? [];
    for (const encoding of ["br", "gzip", "identity"]) {
      const file = await fetch(on.url + script, { headers: { "accept-encoding": encoding } });
      expect([file.status, file.headers.get("content-type")]).toEqual([200, "text/javascript; charset=utf-8"]);
      expect(file.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
      expect(await file.text()).toContain("faaslane");
    }
  }
  expect(await statusOf(`${on.url}/ui/assets/..%2findex.html`)).toEqual([401, "unauthorized"]);
});

test("who signs in gets a cookie and a token, which open the platform together", async () => {
  const before = (await (await fetch(`${on.url}/ui/api/session`)).json()) as UiSession;
  expect([before.state, before.release, before.token]).toEqual(["signedOut", undefined, undefined]);
  const { setCookie, said } = await signIn(on);
  expect(setCookie).toMatch(/^fl_session=[\w-]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/);
  expect(said).toMatchObject({ state: "signedIn", user: "admin", readOnly: false });
  const headers = await signedIn(on);
  expect(await statusOf(`${on.url}/system/info`, { headers })).toEqual([200, null]);
  const { cookie, ...token } = headers;
  expect(await statusOf(`${on.url}/system/info`, { headers: { cookie } })).toEqual([401, "unauthorized"]);
  const refused = await fetch(`${on.url}/system/info`, { headers: token });
  expect([refused.status, refused.headers.get(ERROR_HEADER)]).toEqual([401, "session_over"]);
  // The browser is not to ask for the password in our place.
  expect(refused.headers.get("www-authenticate")).toBeNull();
  // Functions share the origin: the token is not told again to who has but the cookie.
  const again = (await (await fetch(`${on.url}/ui/api/session`, { headers: { cookie } })).json()) as UiSession;
  expect([again.state, again.token]).toEqual(["signedOut", undefined]);
});

test("who signs out is out", async () => {
  const headers = await signedIn(on);
  const answer = await fetch(`${on.url}/ui/api/session`, { method: "DELETE", headers });
  expect(await answer.json()).toMatchObject({ state: "signedOut" });
  expect(answer.headers.getSetCookie()[0]).toMatch(/^fl_session=; .*Max-Age=0/);
  expect(await statusOf(`${on.url}/system/info`, { headers })).toEqual([401, "session_over"]);
});

test.each([
  ["a wrong password", { user: "admin", password: "no" }, [401, "unauthorized"]],
  ["no password", { user: "admin" }, [400, "invalid_request"]],
  ["a password that is no text", { user: "admin", password: ["let me in"] }, [400, "invalid_request"]],
])("%s is refused", async (_what, body, expected) => {
  const init = { method: "POST", headers: JSON_TYPE, body: JSON.stringify(body) };
  expect(await statusOf(`${on.url}/ui/api/session`, init)).toEqual(expected);
});

test("functions get no cookie of a session, and their pages are confined for who has one", async () => {
  const name = on.deploy({});
  on.answerHeaders = { "content-type": "text/html", "content-security-policy": "img-src 'self'" };
  const { cookie } = await signedIn(on);
  const answer = await fetch(`${on.url}/function/${name}`, { headers: { cookie: `theme=dark; ${cookie}` } });
  await answer.text();
  expect(answer.headers.get("content-security-policy")).toBe(
    "img-src 'self', sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads",
  );
  expect(on.reached.at(-1)?.headers.cookie).toBe("theme=dark");
  const plain = await fetch(`${on.url}/function/${name}`, { headers: { cookie: "theme=dark" } });
  await plain.text();
  expect(plain.headers.get("content-security-policy")).toBe("img-src 'self'");
});

test("a dashboard that only looks changes nothing; machines do what they did", async () => {
  const headers = { ...(await signedIn(readOnly)), ...JSON_TYPE };
  const init = { method: "POST", body: "{}" };
  expect(await statusOf(`${readOnly.url}/system/functions`, { ...init, headers })).toEqual([403, "read_only"]);
  expect(await statusOf(`${readOnly.url}/system/info`, { headers })).toEqual([200, null]);
  const authorization = `Basic ${btoa("admin:let me in")}`;
  const [status] = await statusOf(`${readOnly.url}/system/functions`, {
    ...init,
    headers: { ...JSON_TYPE, authorization },
  });
  expect(status).not.toBe(403);
});

test("without the dashboard its addresses are nothing, behind the password", async () => {
  expect(await statusOf(`${off.url}/ui/`, { headers: { accept: "text/html" } })).toEqual([401, "unauthorized"]);
  const authorization = `Basic ${btoa("admin:let me in")}`;
  expect(await statusOf(`${off.url}/ui/`, { headers: { authorization } })).toEqual([404, "unknown_route"]);
  expect(await statusOf(`${off.url}/ui/api/session`, { headers: { authorization } })).toEqual([404, "unknown_route"]);
});
