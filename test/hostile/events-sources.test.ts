import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { SnsSender, TOPIC } from "../support/events/sns-sender.ts";
import { openSourceStack, type SourceStack } from "../support/events/source-stack.ts";
import { SIGNERS } from "../support/events/webhook-signers.ts";
import { eventually } from "../support/eventually.ts";

const SECRET = "correct-horse-battery";
const MAX_BYTES = 256 * 1024;
let stack: SourceStack;

beforeAll(async () => {
  stack = await openSourceStack({ secrets: { shared: SECRET }, maxEventBytes: MAX_BYTES });
  await stack.declare("hook", { type: "webhook", profile: "github", secret: { secret: "shared" } });
});
afterAll(() => stack.close());

const put = (name: string, spec: unknown) => stack.declare(name, spec);
const post = async (body: Buffer, headers: Record<string, string> = {}, id = "d") => {
  const signed = { ...SIGNERS.github(body, SECRET, id), "content-type": "application/json", ...headers };
  const answer = await fetch(`${stack.url}/webhook/hook`, { method: "POST", headers: signed, body });
  return { status: answer.status, text: await answer.text() };
};
const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
const cron = (more: object) => ({ type: "cron", schedule: "0 2 * * *", ...more });

/** What is refused, and leaves nothing behind. */
test.each<[attack: string, spec: unknown, status: number]>([
  ["no object", "[1,2]", 400],
  ["JSON that is cut off", '{"type":"cron"', 400],
  ["JSON nested 100,000 deep", `{"type":"cron","data":${nested(100_000)}}`, 400],
  ["a million values", `{"type":"cron","schedule":"@hourly","data":[${"1,".repeat(100_000)}1]}`, 400],
  ["a specification of megabytes", JSON.stringify(cron({ data: "x".repeat(2 ** 21) })), 413],
  ["a type of the object's prototype", { type: "constructor" }, 400],
  ["a type that only annotations may ask for", { type: "cron-function", schedule: "* * * * *" }, 400],
  ["an attribute that would replace an event's own", cron({ attributes: { source: "/forged" } }), 400],
  ["an attribute with control characters", cron({ attributes: { "a\u0000": "x" } }), 400],
  ["a number that is no integer of 32 bits", cron({ attributes: { a: 2 ** 40 } }), 400],
  [
    "a thousand attributes",
    cron({ attributes: Object.fromEntries([...Array(1_000).keys()].map((n) => [`a${n}`, 1])) }),
    400,
  ],
  ["a broker's name that leads elsewhere", cron({ broker: "../../other" }), 400],
  ["a schedule of a thousand schedules", cron({ schedule: Array(1_000).fill("* * * * *") }), 400],
  ["a schedule of 100 KB", cron({ schedule: "*".repeat(100_000) }), 400],
  ["a schedule that is never due", cron({ schedule: "0 0 30 2 *" }), 400],
  ["a time zone that is a path", cron({ timezone: "../../etc/passwd" }), 400],
  ["every tick of a thousand years caught up", cron({ catchUp: "all:9999" }), 400],
  ["a content type that adds a header", cron({ contentType: "text/plain\r\nx-evil: 1" }), 400],
  ["a password in a URL", { type: "mqtt", url: "mqtt://me:hunter2@host", topics: ["a"] }, 400],
  ["a secret by value", { type: "webhook", profile: "github", secret: SECRET }, 400],
  [
    "a secret whose name leads out of its folder",
    { type: "webhook", profile: "github", secret: { secret: "../../etc/shadow" } },
    400,
  ],
  ["a hundred secrets", { type: "webhook", profile: "github", secrets: Array(100).fill({ secret: "shared" }) }, 400],
  [
    "a header's name with a line break",
    { type: "webhook", profile: "hmac", header: "x\r\ny", secret: { secret: "shared" } },
    400,
  ],
  ["a URL that is a file", { type: "http-poll", url: "file:///etc/passwd" }, 400],
  ["a header that is the connection's", { type: "http-poll", url: "http://h/", headers: { Host: "x" } }, 400],
  ["a request every millisecond", { type: "http-poll", url: "http://h/", interval: "1ms" }, 400],
  ["an answer of gigabytes", { type: "http-poll", url: "http://h/", maxBytes: 2 ** 40 }, 400],
  ["a kind that is a path", { type: "kubernetes", resources: [{ apiVersion: "v1", kind: "Pods/../x" }] }, 400],
  ["a version that is a path", { type: "kubernetes", resources: [{ apiVersion: "../v1", kind: "Pod" }] }, 400],
])("declares %s", async (_attack, spec, status) => {
  const answer = await put("bad", spec);
  expect(answer.status).toBe(status);
  expect(JSON.stringify(answer.body)).not.toContain("hunter2");
  expect((await stack.request("GET", "/system/sources/bad")).status).toBe(404);
});

test.each(["..%2f..%2fx", "A", "-a", "a".repeat(64), "a%00", "%E2%82%AC"])("names a source %s", async (name) => {
  expect((await put(name, cron({}))).status).toBe(400);
});

test("declares __proto__ as a setting", async () => {
  const answer = await put("proto", '{"type":"cron","schedule":"0 2 * * *","__proto__":{"polluted":1}}');
  expect([201, 400]).toContain(answer.status);
  expect(JSON.stringify(answer.body)).not.toContain("polluted");
  expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
});

test("declares more sources than a namespace may have", async () => {
  for (let n = 0; n < 500; n++) {
    const spec = { ...cron({}), suspend: true };
    await stack.resources.put({ kind: "source", namespace: "crowded", name: `s${n}`, spec });
  }
  const answer = await stack.request("PUT", "/system/sources/more?namespace=crowded", cron({}));
  expect(answer.status).toBe(422);
  expect((await stack.request("PUT", "/system/sources/s1?namespace=crowded", cron({}))).status).toBe(200);
});

test.each<[attack: string, body: Buffer, headers: Record<string, string>, status: number]>([
  ["no signature", Buffer.from("{}"), { "x-hub-signature-256": "" }, 401],
  ["the signature of another body", Buffer.from("{}"), { "x-hub-signature-256": `sha256=${"0".repeat(64)}` }, 401],
  ["a signature of another length", Buffer.from("{}"), { "x-hub-signature-256": "sha256=00" }, 401],
  ["a signature of 8 KB", Buffer.from("{}"), { "x-hub-signature-256": `sha256=${"0".repeat(8_000)}` }, 401],
  ["the weaker signature alone", Buffer.from("{}"), { "x-hub-signature-256": "", "x-hub-signature": "sha1=00" }, 401],
  ["a body that is larger than an event may be", Buffer.alloc(MAX_BYTES + 1), {}, 413],
  ["a body nested 100,000 deep", Buffer.from(nested(100_000)), {}, 400],
  ["a body that is no UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), {}, 400],
  ["a body of NULs", Buffer.alloc(1_000), {}, 400],
  ["a content type that is none", Buffer.from("{}"), { "content-type": "nonsense" }, 400],
  [
    "a form with a payload that is no JSON",
    Buffer.from("payload=%7B"),
    { "content-type": "application/x-www-form-urlencoded" },
    400,
  ],
])("sends %s", async (_attack, body, headers, status) => {
  const answer = await post(body, headers);
  expect(answer.status).toBe(status);
  expect(answer.text).not.toContain(SECRET);
  expect((await stack.events()).length).toBe(0);
});

test.each(["__proto__", "a".repeat(10_000), "\u0000\u0001", "../../evil", "<script>alert(1)</script>"])(
  "names an event %j in what is signed",
  async (action) => {
    const id = `n-${action.length}-${action.charCodeAt(0)}`;
    const body = Buffer.from(JSON.stringify({ action, repository: { url: "javascript:alert(1)" } }));
    expect((await post(body, { "x-github-event": "issues" }, id)).status).toBe(202);
    const stored = (await stack.events()).find(({ event }) => event.attributes.id === id);
    expect(stored?.event.attributes.type).toMatch(/^com\.github\.issues\.[a-z0-9_-]{1,64}$/);
    expect(stored?.event.attributes.source).toBe("/webhooks/openfaas-fn/hook");
  },
);

test("sends a delivery twice at the same time", async () => {
  const body = Buffer.from("{}");
  const answers = await Promise.all(Array.from({ length: 20 }, () => post(body, {}, "race")));
  expect(answers.map(({ status }) => status).sort()).toEqual([202, ...Array(19).fill(409)]);
});

test("sends half a body and leaves, a hundred times", async () => {
  const before = (await stack.events()).length;
  for (let n = 0; n < 100; n++) {
    await new Promise<void>((resolve) => {
      const socket = connect(stack.port, "127.0.0.1", () => {
        socket.write("POST /webhook/hook HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{", () => socket.destroy());
      });
      socket.on("close", () => resolve());
    });
  }
  await eventually("it still takes others", async () => (await post(Buffer.from("{}"), {}, "after")).status === 202);
  expect((await stack.events()).length).toBe(before + 1);
});

test.each([
  "/webhook/hook%00",
  "/webhook/a/../hook",
  "/webhook//hook",
  "/webhook/hook/",
  `/webhook/${"a".repeat(5_000)}`,
])("asks for %s", async (path) => {
  const answer = await fetch(`${stack.url}${path}`, { method: "POST", body: "{}" });
  expect([401, 404]).toContain(answer.status);
});

/** What strangers may have a webhook of SNS do, whose proof is a certificate that they name. */
test.each<[attack: string, make: (sns: SnsSender, theirs: SnsSender) => Buffer]>([
  ["a certificate of the attacker's", (_sns, theirs) => theirs.message("Notification", {}, "2", {})],
  [
    "a message signed by the attacker in the name of the service",
    (sns, theirs) => theirs.message("Notification", { SigningCertURL: `${sns.url}/SimpleNotificationService-0.pem` }),
  ],
  [
    "a topic of the attacker's own",
    (sns) => sns.message("Notification", { TopicArn: TOPIC.replace("orders", "evil") }),
  ],
  [
    "a confirmation that leads into the network",
    (sns, theirs) =>
      sns.message("SubscriptionConfirmation", {
        SubscribeURL: `${theirs.url}/?Action=ConfirmSubscription&TopicArn=${TOPIC}`,
      }),
  ],
  ["a message changed on its way", (sns) => sns.message("Notification", {}, "2", { Message: "pay the attacker" })],
])("a webhook of SNS refuses %s, and asks nobody else", async (_attack, make) => {
  const [sns, theirs] = [await SnsSender.open(), await SnsSender.open()];
  try {
    await put("sns", { type: "webhook", profile: "sns", topicArns: [TOPIC], endpoint: sns.url });
    const before = (await stack.events()).length;
    const answer = await fetch(`${stack.url}/webhook/sns`, { method: "POST", body: new Uint8Array(make(sns, theirs)) });
    await answer.text();
    expect(answer.status).toBe(401);
    expect(theirs.asked).toEqual([]);
    expect(sns.asked.filter((path) => !path.endsWith(".pem"))).toEqual([]);
    expect(await stack.events()).toHaveLength(before);
  } finally {
    await sns.close();
    await theirs.close();
  }
});
