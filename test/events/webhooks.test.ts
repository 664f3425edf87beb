import { createHmac } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import { signatureCheck, type WebhookSettings } from "../../events/webhooks/profiles.ts";
import { type EventProfile, webhookEvent } from "../../events/webhooks/webhook-event.ts";

const NOW = 1_790_000_000_000;
const SECONDS = String(NOW / 1000);
const BODY = Buffer.from('{"a": 1}');
const KEY = Buffer.from("0123456789abcdef");
const WHSEC = `whsec_${KEY.toString("base64")}`;

const sign = (parts: readonly (string | Buffer)[], secret: string | Buffer = "one", algorithm = "sha256") => {
  const hmac = createHmac(algorithm, secret);
  for (const part of parts) hmac.update(part);
  return hmac;
};
const hex = (...args: Parameters<typeof sign>) => sign(...args).digest("hex");

interface Profile {
  readonly settings: WebhookSettings;
  readonly secrets?: readonly string[];
  headers(body: Buffer, time?: string): Record<string, string>;
}

const PROFILES: Readonly<Record<string, Profile>> = {
  github: {
    settings: { profile: "github" },
    headers: (body) => ({ "x-hub-signature-256": `sha256=${hex([body])}` }),
  },
  "github with the older signature": {
    settings: { profile: "github", allowSha1: true },
    headers: (body) => ({ "x-hub-signature": `sha1=${hex([body], "one", "sha1")}` }),
  },
  stripe: {
    settings: { profile: "stripe" },
    headers: (body, time = SECONDS) => ({
      "stripe-signature": `t=${time}, v1=00ff,v1=${hex([`${time}.`, body])},v0=x`,
    }),
  },
  slack: {
    settings: { profile: "slack" },
    headers: (body, time = SECONDS) => ({
      "x-slack-request-timestamp": time,
      "x-slack-signature": `v0=${hex([`v0:${time}:`, body])}`,
    }),
  },
  standard: {
    settings: { profile: "standard" },
    secrets: ["whsec_AAAA", WHSEC],
    headers: (body, time = SECONDS) => ({
      "webhook-id": "msg_1",
      "webhook-timestamp": time,
      "webhook-signature": `v1,AAAA v1,${sign([`msg_1.${time}.`, body], KEY).digest("base64")} v1a,x`,
    }),
  },
  hmac: {
    settings: { profile: "hmac", header: "x-signature", algorithm: "sha512", encoding: "base64", prefix: "v=" },
    headers: (body) => ({ "x-signature": `v=${sign([body], "one", "sha512").digest("base64")}` }),
  },
};
const TIMED = ["stripe", "slack", "standard"];
const refused = expect.objectContaining({ kind: "unauthorized" });

describe.each(Object.entries(PROFILES))(
  "signatures of %s",
  (name, { settings, secrets = ["other", "one"], headers }) => {
    const check = signatureCheck(settings);
    const verify =
      (given: Record<string, string>, body = BODY, keys = secrets, now = NOW) =>
      () =>
        check({ headers: given, body }, keys, now);

    test("are right with any of the secrets", () => {
      expect(verify(headers(BODY))).not.toThrow();
      expect(verify(headers(BODY), BODY, [...secrets].reverse())).not.toThrow();
    });

    test("are wrong for one changed byte, another secret and none", () => {
      const changed = Buffer.from(BODY);
      changed[2] = (changed[2] as number) ^ 1;
      expect(verify(headers(BODY), changed)).toThrow(refused);
      expect(verify(headers(BODY), BODY, ["two"])).toThrow(refused);
      expect(verify(headers(BODY), BODY, [])).toThrow(refused);
      expect(verify({})).toThrow(refused);
    });

    test.each(["", "=", "sha256=", "v0=zz", "t=1", "v1,", "\u0000", "x".repeat(5_000), "sha256=00"])(
      "refuses %j",
      (odd) => {
        const given = Object.fromEntries(Object.keys(headers(BODY)).map((header) => [header, odd]));
        expect(verify(given)).toThrow(refused);
      },
    );

    test("are looked at no longer than their time is near", () => {
      const old = String(NOW / 1000 - 301);
      const given = headers(BODY, old);
      if (TIMED.includes(name)) expect(verify(given)).toThrow("too far from now");
      else expect(verify(given)).not.toThrow();
    });
  },
);

test("GitHub's older signature is refused unless it is allowed", () => {
  const request = { headers: { "x-hub-signature": `sha1=${hex([BODY], "one", "sha1")}` }, body: BODY };
  expect(() => signatureCheck({ profile: "github" })(request, ["one"], NOW)).toThrow(refused);
});

test("tokens and logins are compared as a whole", () => {
  const gitlab = signatureCheck({ profile: "gitlab" });
  expect(() => gitlab({ headers: { "x-gitlab-token": "one" }, body: BODY }, ["two", "one"], NOW)).not.toThrow();
  expect(() => gitlab({ headers: { "x-gitlab-token": "on" }, body: BODY }, ["one"], NOW)).toThrow(refused);
  const bearer = signatureCheck({ profile: "token", header: "authorization" });
  expect(() => bearer({ headers: { authorization: "Bearer one" }, body: BODY }, ["one"], NOW)).not.toThrow();
  const basic = signatureCheck({ profile: "basic" });
  const login = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString("base64")}` });
  expect(() => basic({ headers: login("me:one"), body: BODY }, ["me:one"], NOW)).not.toThrow();
  expect(() => basic({ headers: login("me:two"), body: BODY }, ["me:one"], NOW)).toThrow(refused);
  expect(() => signatureCheck({ profile: "hmac" })).toThrow("webhook.header: is required with the profile hmac");
});

describe("events of deliveries", () => {
  const source = "/webhooks/openfaas-fn/hook";
  const event = (profile: EventProfile, headers: Record<string, string>, body: object | string) =>
    webhookEvent(
      profile,
      {
        headers: { "content-type": "application/json", ...headers },
        body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)),
      },
      { source, newId: (bytes) => `sha256:${bytes.length}` },
    )?.event.attributes;
  const repository = { url: "https://example.com/o/r" };
  const github = (name: string) => ({ "x-github-event": name, "x-github-delivery": "d-1" });

  test.each<[string, object, object]>([
    ["push", { compare: "https://example.com/o/r/compare/a...b" }, { type: "com.github.push", subject: "a...b" }],
    ["issues", { action: "opened", issue: { number: 7 } }, { type: "com.github.issues.opened", subject: "7" }],
    ["pull_request", { action: "closed", pull_request: { number: 8 } }, { type: "com.github.pull_request.closed" }],
    ["create", { ref: "v1", ref_type: "tag" }, { type: "com.github.create.tag", subject: "v1" }],
    ["release", { action: "published", release: { id: 5 } }, { type: "com.github.release.published", subject: "5" }],
  ])("GitHub's %s", (name, payload, expected) => {
    expect(event("github", github(name), { repository, ...payload })).toMatchObject({
      id: "d-1",
      source: repository.url,
      ...expected,
    });
  });

  test("GitHub's ping is none", () => {
    expect(event("github", github("ping"), {})).toBeUndefined();
  });

  test("of the others", () => {
    expect(
      event("gitlab", { "x-gitlab-event": "Push Hook", "x-gitlab-event-uuid": "u" }, { object_kind: "push" }),
    ).toMatchObject({ type: "com.gitlab.push", id: "u", source });
    expect(event("stripe", {}, { id: "evt_1", type: "charge.paid", created: 1_790_000_000 })).toMatchObject({
      type: "com.stripe.charge.paid",
      id: "evt_1",
      time: "2026-09-21T14:13:20.000Z",
    });
    expect(event("slack", {}, { type: "event_callback", event_id: "E1", event: { type: "message" } })).toMatchObject({
      type: "com.slack.message",
      id: "E1",
    });
    expect(
      event("standard", { "webhook-id": "m1" }, { type: "user.created", timestamp: "2026-01-31T12:00:00Z" }),
    ).toMatchObject({ type: "user.created", id: "m1", time: "2026-01-31T12:00:00Z" });
  });

  test("of a sender that names none, they get the id that is made for them", () => {
    expect(event("hmac", {}, "abc")).toMatchObject({ type: "com.faaslane.webhook", source, id: "sha256:3" });
    expect(event("token", { "x-request-id": "r1" }, "abc")).toMatchObject({ id: "r1" });
  });

  test.each<[EventProfile, string, string]>([
    ["github", "{", "body: is not JSON"],
    ["stripe", "[]", "body: must be a JSON object"],
    ["stripe", "{}", "type: is missing"],
    ["slack", "[".repeat(100), "levels deep"],
    ["standard", '{"timestamp":"yesterday"}', "time: must be"],
    ["github", '{"action":"\\u0000"}', ""],
  ])("of %s, %s is refused or harmless", (profile, body, why) => {
    const read = () => event(profile, { ...github("issues"), "webhook-id": "m" }, body);
    if (why === "") expect(read()).toMatchObject({ type: "com.github.issues._" });
    else expect(read).toThrow(why);
  });

  test("a header that is missing is named", () => {
    expect(() => event("github", {}, {})).toThrow("x-github-event: is missing");
    expect(() => event("gitlab", {}, {})).toThrow("x-gitlab-event: is missing");
  });
});
