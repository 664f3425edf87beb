import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type FrontGateway, openFrontGateway } from "../support/front-gateway.ts";

/** All routes, by a proxy that passes the path on as it is and by one that takes the prefix away. */
let front: FrontGateway;
beforeAll(async () => {
  front = await openFrontGateway({ base_path: "/faas" }, { user: "admin", password: "secret" });
});
afterAll(() => front.close());

const authorization = `Basic ${Buffer.from("admin:secret").toString("base64")}`;

const ask = (path: string, init: RequestInit = {}) =>
  fetch(front.gateway.url + path, {
    redirect: "manual",
    ...init,
    headers: { authorization, "content-type": "application/json", ...init.headers },
  });

test.each<[path: string, init: RequestInit, status: number, location: RegExp | undefined]>([
  ["/function/f/a%20b?c=d", {}, 200, undefined],
  ["/function/f/x//y", {}, 301, /^\/faas\/function\/f\/x\/y$/],
  ["/function/", {}, 404, undefined],
  ["/", {}, 307, /^\/faas\/ui\/$/],
  ["/healthz", {}, 202, undefined],
  ["/ui/", {}, 200, undefined],
  ["/system/functions", { method: "POST", body: "{}" }, 202, undefined],
  ["/system/info", {}, 200, undefined],
  ["/system/queue", {}, 200, undefined],
  ["/system/scaling/nobody", {}, 404, undefined],
  ["/async-function/f", { method: "POST", body: "{}" }, 202, /^\/faas\/async-function\/[0-9a-f-]{36}$/],
  ["/system//functions", {}, 301, /^\/faas\/system\/functions$/],
  ["/async-function/f/x//y", { method: "POST" }, 301, /^\/faas\/async-function\/f\/x\/y$/],
  ["/elsewhere", {}, 404, undefined],
])("%s answers the same with and without the prefix", async (path, init, status, location) => {
  for (const prefix of ["/faas", ""]) {
    const answer = await ask(prefix + path, init);
    expect([prefix, answer.status]).toEqual([prefix, status]);
    if (location) expect(answer.headers.get("location")).toMatch(location);
    await answer.body?.cancel();
  }
});

test("a function and the control routes never see the prefix", async () => {
  expect(await (await ask("/faas/function/f/a%20b?c=d")).text()).toBe("f got /a%20b?c=d");
  expect((await ask("/faas/system/info", { headers: { authorization: "" } })).status).toBe(401);
});

test("the status of a call is where its Location says", async () => {
  const accepted = await ask("/faas/async-function/f", { method: "POST", body: "{}" });
  expect((await ask(accepted.headers.get("location") as string)).status).toBe(200);
});

test("programs that ask what there is get links that they can follow", async () => {
  const about = (await (await ask("/faas/", { headers: { accept: "application/json" } })).json()) as {
    links: Record<string, string>;
  };
  expect(about.links).toMatchObject({ call: "/faas/function/{name}", info: "/faas/system/info" });
  expect((await ask(about.links.info as string)).status).toBe(200);
});

test("without the prefix itself nothing is below it", async () => {
  expect((await ask("/faasx/function/f")).status).toBe(404);
  expect((await ask("/faas")).status).toBe(307);
});
