import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { webhookSource } from "../../events/sources/webhook/webhook-source.ts";
import { FakeSourceContext, runSource } from "../support/events/source-context.ts";
import { openSourceStack, type SourceStack } from "../support/events/source-stack.ts";
import { SIGNERS } from "../support/events/webhook-signers.ts";
import { eventually } from "../support/eventually.ts";

type Profile = keyof typeof SIGNERS;

const NOW = 1_790_000_000_000;
const SECONDS = NOW / 1_000;
const OLD = "whsec_b2xkIHNlY3JldCBvbGQgc2VjcmV0";
const NEW = "whsec_bmV3IHNlY3JldCBuZXcgc2VjcmV0";
const CONDITIONS: Readonly<Partial<Record<Profile, object>>> = {
  hmac: { header: "X-Signature" },
  token: { header: "Authorization" },
};
/** Bodies of which each profile reads an event of that id. */
const BODIES: Readonly<Record<Profile, (id: string) => object>> = {
  github: () => ({
    ref: "refs/heads/main",
    repository: { url: "https://api.example.com/r", html_url: "https://example.com/o/r" },
  }),
  gitlab: () => ({ object_kind: "push", project: { web_url: "https://gitlab.example.com/o/r" } }),
  stripe: (id) => ({ id, type: "charge.paid", created: 1_790_000_000 }),
  slack: (id) => ({ type: "event_callback", event_id: id, event: { type: "message" } }),
  standard: () => ({ type: "user.created" }),
  hmac: () => ({ a: 1 }),
  token: () => ({ a: 1 }),
  basic: () => ({ a: 1 }),
};
const NAMES: Readonly<Record<Profile, string>> = {
  github: "com.github.push",
  gitlab: "com.gitlab.push",
  stripe: "com.stripe.charge.paid",
  slack: "com.slack.message",
  standard: "user.created",
  hmac: "com.faaslane.webhook",
  token: "com.faaslane.webhook",
  basic: "com.faaslane.webhook",
};

async function open(profile: Profile, more: object = {}) {
  let now = NOW;
  const context = new FakeSourceContext({ name: "hook", secrets: { old: OLD, new: NEW }, now: () => now });
  const given = { profile, secrets: [{ secret: "old" }, { secret: "new" }], ...CONDITIONS[profile], ...more };
  runSource(webhookSource, given, context);
  await eventually("it receives", () => context.answer);
  const send = async (
    given: { id?: string; secret?: string; at?: number; spoil?: boolean; headers?: object; body?: Buffer } = {},
  ) => {
    const { id = "d-1", secret = OLD, at = SECONDS, spoil = false, headers = {} } = given;
    const body = given.body ?? Buffer.from(JSON.stringify(BODIES[profile](id)));
    const signed = SIGNERS[profile](body, secret, id, at);
    if (spoil) body[2] = (body[2] as number) ^ 1;
    return await context.request({ headers: { "content-type": "application/json", ...signed, ...headers }, body });
  };
  const at = (ms: number) => {
    now = ms;
  };
  return { context, send, at };
}

describe.each(Object.keys(SIGNERS) as Profile[])("a webhook of %s", (profile) => {
  test("takes what is signed with one of two secrets, with its body as it came", async () => {
    const { context, send } = await open(profile);
    expect(await send()).toEqual({ status: 202 });
    expect(await send({ id: "d-2", secret: NEW })).toEqual({ status: 202 });
    expect(context.emitted.map(({ event }) => event.attributes)).toMatchObject([
      { id: "d-1", type: NAMES[profile], datacontenttype: "application/json" },
      { id: "d-2", type: NAMES[profile] },
    ]);
    expect(context.emitted[0]?.event.data?.toString()).toBe(JSON.stringify(BODIES[profile]("d-1")));
    const passed = JSON.stringify(context.emitted[0]?.headers);
    expect(passed).toContain("webhook-connector");
    expect(passed).not.toMatch(/signature|token|authorization/i);
  });

  test("refuses what is not", async () => {
    const { context, send } = await open(profile);
    const unauthorized = expect.objectContaining({ kind: "unauthorized" });
    await expect(send({ secret: "whsec_AAAA" })).rejects.toEqual(unauthorized);
    await expect(context.request({ body: Buffer.from("{}") })).rejects.toEqual(unauthorized);
    // A token says nothing of the body.
    if (!["gitlab", "token", "basic"].includes(profile))
      await expect(send({ spoil: true })).rejects.toEqual(unauthorized);
    expect(context.emitted).toEqual([]);
  });

  test("refuses a replay, and takes what could not be stored when it comes again", async () => {
    const { context, send } = await open(profile);
    context.failing = new Error("full");
    await expect(send()).rejects.toThrow("full");
    context.failing = undefined;
    expect(await send()).toEqual({ status: 202 });
    await expect(send()).rejects.toMatchObject({ kind: "conflict", code: "already_received" });
    expect(context.emitted).toHaveLength(1);
  });
});

test.each(["stripe", "slack", "standard"] as const)(
  "%s may try again what it signs anew, and gets the same answer",
  async (profile) => {
    const { context, send, at } = await open(profile);
    await send();
    at(NOW + 60_000);
    await expect(send()).rejects.toMatchObject({ code: "already_received" });
    expect(await send({ at: SECONDS + 60 })).toMatchObject({
      status: 202,
      headers: { "idempotency-replayed": "true" },
    });
    expect(context.emitted).toHaveLength(1);
    at(NOW + 301_000);
    await expect(send()).rejects.toMatchObject({ kind: "unauthorized" });
  },
);

describe("webhooks", () => {
  test("answer replays as the first one where the sender wants that", async () => {
    const { send } = await open("github", { replays: "accept" });
    await send();
    expect(await send()).toMatchObject({ status: 202, headers: { "idempotency-replayed": "true" } });
  });

  test("take equal bodies as often as they come, unless a body is to be the delivery", async () => {
    const { context, send } = await open("hmac");
    for (let time = 0; time < 2; time++) await send({ headers: { "x-request-id": undefined } });
    expect(new Set(context.emitted.map(({ event }) => event.attributes.id)).size).toBe(2);
    const same = await open("hmac", { dedupe: "body" });
    await same.send({ headers: { "x-request-id": undefined } });
    await expect(same.send({ headers: { "x-request-id": undefined } })).rejects.toMatchObject({
      code: "already_received",
    });
    const named = await open("hmac", { idHeader: "X-Delivery" });
    await named.send({ headers: { "x-request-id": undefined, "x-delivery": "77" } });
    expect(named.context.emitted[0]?.event.attributes.id).toBe("77");
  });

  test("take a ping without an event, and nothing that is not subscribed to", async () => {
    const { context, send } = await open("github", { events: ["push", "issues.opened"] });
    expect(await send({ headers: { "x-github-event": "ping" } })).toEqual({ status: 204 });
    const issues = (action: string) => {
      const body = Buffer.from(JSON.stringify({ action, issue: { number: 1 } }));
      return send({ id: action, body, headers: { "x-github-event": "issues" } });
    };
    expect(await issues("opened")).toEqual({ status: 202 });
    await expect(issues("closed")).rejects.toMatchObject({ kind: "notFound", code: "not_subscribed" });
    expect(context.emitted.map(({ event }) => event.attributes.type)).toEqual(["com.github.issues.opened"]);
  });

  test("of GitHub have Knative's types when they are asked for", async () => {
    const { context, send } = await open("github", { types: "knative", events: ["push"], topic: "github" });
    await send();
    expect(context.emitted[0]).toMatchObject({
      topic: "github",
      event: { attributes: { type: "dev.knative.source.github.push", source: "https://example.com/o/r" } },
    });
  });

  test("of GitHub and Slack read forms", async () => {
    const github = await open("github");
    const payload = JSON.stringify({ ref: "refs/heads/main", compare: "https://example.com/a...b" });
    const form = { "content-type": "application/x-www-form-urlencoded" };
    await github.send({ body: Buffer.from(new URLSearchParams({ payload }).toString()), headers: form });
    expect(github.context.emitted[0]?.event).toMatchObject({
      attributes: { type: "com.github.push", subject: "a...b", datacontenttype: "application/json" },
      data: Buffer.from(payload),
    });
    const slack = await open("slack");
    const command = "command=%2Fdeploy&text=now&team_id=T1&trigger_id=t.1";
    await slack.send({ body: Buffer.from(command), headers: form });
    expect(slack.context.emitted[0]?.event).toMatchObject({
      attributes: { type: "com.slack.command", id: "t.1", subject: "T1" },
      data: Buffer.from(command),
    });
  });

  test("of Slack answer its challenge, signed only", async () => {
    const { context, send } = await open("slack");
    const body = Buffer.from(JSON.stringify({ type: "url_verification", challenge: "c-1" }));
    expect(await send({ body })).toMatchObject({ status: 200, body: "c-1" });
    await expect(context.request({ body })).rejects.toMatchObject({ kind: "unauthorized" });
    expect(context.emitted).toEqual([]);
  });

  test("consent to a sender who asks first, and take a token from the query", async () => {
    const { context } = await open("token");
    expect(
      await context.request({ method: "OPTIONS", headers: { "webhook-request-origin": "events.example.com" } }),
    ).toEqual({
      status: 200,
      headers: { allow: "POST, OPTIONS", "webhook-allowed-origin": "events.example.com", "webhook-allowed-rate": "*" },
    });
    const query = new URLSearchParams({ access_token: OLD });
    expect(await context.request({ query, body: Buffer.from("x") })).toEqual({ status: 202 });
    await expect(context.request({ query: new URLSearchParams({ access_token: "x" }) })).rejects.toMatchObject({
      kind: "unauthorized",
    });
    await expect(context.request({ method: "GET" })).rejects.toMatchObject({ kind: "notAllowed" });
  });

  test("whose secret is missing say so, and take nothing until it is there", async () => {
    const secrets: Record<string, string> = {};
    const context = new FakeSourceContext({ secrets });
    const running = runSource(webhookSource, { profile: "gitlab", secret: { secret: "late" } }, context);
    const headers = { "x-gitlab-token": "s", "x-gitlab-event": "Push Hook" };
    await eventually("told", () => context.warnings.length > 0);
    await expect(context.request({ headers, body: Buffer.from("{}") })).rejects.toMatchObject({ kind: "unavailable" });
    secrets.late = "s\n\n";
    await eventually("connected", () => context.connections > 0, 20_000);
    expect(await context.request({ headers, body: Buffer.from("{}") })).toEqual({ status: 202 });
    await running.stop();
  });

  test.each([
    [{ profile: "gitlub" }, "profile: must be one of github"],
    [{ profile: "github" }, "secret: is required"],
    [{ profile: "hmac", secret: { secret: "s" } }, "header: is required with the profile hmac"],
    [{ profile: "github", secret: "plain" }, "secret: must be a secret's name"],
    [{ profile: "gitlab", secret: { secret: "s" }, types: "knative" }, "types: is for the profile github"],
    [{ profile: "stripe", secret: { secret: "s" }, tolerance: "forever" }, "tolerance: must be a duration"],
    [{ profile: "stripe", secret: { secret: "s" }, header: "a b", extra: 1 }, "header: must be a header's name"],
  ])("declared as %j are refused with %s", (given, message) => {
    const { error } = webhookSource.settings.safeParse(given);
    expect(error?.issues.map(({ path, message: said }) => `${path.join(".")}: ${said}`).join("; ")).toContain(message);
  });
});

describe("over HTTP", () => {
  let stack: SourceStack;
  beforeAll(async () => {
    stack = await openSourceStack({ secrets: { shared: OLD }, maxEventBytes: 64 * 1024 });
  });
  afterAll(() => stack.close());

  const spec = { type: "webhook", profile: "standard", secret: { secret: "shared" } };
  const post = async (path: string, id: string, body = Buffer.from('{"type":"a.b"}'), headers: object = {}) => {
    const signed = SIGNERS.standard(body, OLD, id, Math.floor(Date.now() / 1_000));
    const answer = await fetch(`${stack.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...signed, ...headers },
      body,
    });
    return [answer.status, answer.headers.get("x-faaslane-error")];
  };

  test("a webhook is declared, and takes requests at once", async () => {
    expect((await stack.declare("hook", spec)).status).toBe(201);
    expect(await post("/webhook/hook", "a")).toEqual([202, null]);
    expect(await post("/webhook/openfaas-fn/hook", "b")).toEqual([202, null]);
    expect(await post("/webhook/hook", "c", Buffer.alloc(65 * 1024))).toEqual([413, "too_large"]);
    expect(await post("/webhook/hook", "d", Buffer.from("{"))).toEqual([400, "invalid_request"]);
    expect(await post("/webhook/hook", "e", undefined, { "webhook-signature": "v1,AAAA" })).toEqual([
      401,
      "unauthorized",
    ]);
    expect((await stack.events()).map(({ event }) => event.attributes.id)).toEqual(["a", "b"]);
  });

  test.each([
    ["/webhook/nobody", 404, "unknown_source"],
    ["/webhook/", 404, "unknown_source"],
    ["/webhook/other/hook", 404, "unknown_source"],
    ["/webhook/a/b/c", 404, "unknown_source"],
    ["/webhook/..%2Fhook", 404, "unknown_source"],
    ["/webhook/HOOK", 404, "unknown_source"],
  ])("%s is %d", async (path, status, code) => {
    expect(await post(path, "z")).toEqual([status, code]);
  });

  test("one that is suspended asks its senders to come again", async () => {
    await stack.request("POST", "/system/sources/hook/suspend");
    expect(await post("/webhook/hook", "s")).toEqual([503, "unavailable"]);
    await stack.request("POST", "/system/sources/hook/resume");
    expect(await post("/webhook/hook", "s")).toEqual([202, null]);
  });

  test("a replay is refused also after a restart", async () => {
    const body = Buffer.from('{"type":"a.b"}');
    // As it was overheard: what its sender signs anew, a second later or more, is one more try of the same delivery.
    const overheard = SIGNERS.standard(body, OLD, "r", Math.floor(Date.now() / 1_000));
    const replay = () => post("/webhook/hook", "r", body, overheard);
    expect(await replay()).toEqual([202, null]);
    expect(await replay()).toEqual([409, "already_received"]);
    const { folder, secrets } = stack;
    await stack.close({ keep: true });
    stack = await openSourceStack({ folder, secrets, maxEventBytes: 64 * 1024 });
    // Until it has seen its broker it asks its senders to come again.
    const answer = await eventually("it runs again", async () => {
      const told = await replay();
      return told[0] !== 503 && told;
    });
    expect(answer).toEqual([409, "already_received"]);
  });
});
