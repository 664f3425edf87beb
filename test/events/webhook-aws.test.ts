import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { webhookSource } from "../../events/sources/webhook/webhook-source.ts";
import { certificateUrl, confirmationUrl, parseSnsMessage, signingKey } from "../../events/webhooks/sns.ts";
import { makeCertificate } from "../support/certificates.ts";
import { SnsSender, TOPIC } from "../support/events/sns-sender.ts";
import { FakeSourceContext, type FakeSourceOptions, runSource } from "../support/events/source-context.ts";
import { eventually } from "../support/eventually.ts";

const running: { stop(): Promise<void> }[] = [];
afterAll(async () => {
  await Promise.all(running.map((each) => each.stop()));
});

async function open(given: object, options: FakeSourceOptions = {}) {
  const context = new FakeSourceContext({ name: "hook", secrets: { store: "t0ken" }, ...options });
  running.push(runSource(webhookSource, given, context));
  await eventually("it receives", () => context.answer);
  return context;
}

describe("a webhook of a store that speaks as S3 does", () => {
  const spec = { profile: "s3", secret: { secret: "store" } };
  /** As MinIO writes it. */
  const record = (key: string, sequencer: string, more: object = {}) => ({
    eventVersion: "2.0",
    eventSource: "minio:s3",
    awsRegion: "",
    eventTime: "2026-10-01T10:00:00.000Z",
    eventName: "s3:ObjectCreated:Put",
    responseElements: { "x-amz-request-id": "17F5", "x-amz-id-2": "dd9025" },
    s3: { bucket: { name: "photos" }, object: { key, sequencer } },
    ...more,
  });
  const post = (context: FakeSourceContext, body: object, headers: object = { authorization: "Bearer t0ken" }) =>
    context.request({
      headers: { "content-type": "application/json", ...headers },
      body: Buffer.from(JSON.stringify(body)),
    });
  const put = (...records: object[]) => ({ EventName: "s3:ObjectCreated:Put", Key: "photos/x", Records: records });

  test("takes an event for each object, named as those of S3 are", async () => {
    const context = await open(spec);
    const first = record("a+b%2Fc.jpg", "17F5A");
    expect(await post(context, put(first, record("d.jpg", "17F5B")))).toEqual({ status: 202 });
    expect(context.emitted.map(({ event }) => event.attributes)).toMatchObject([
      {
        type: "com.amazonaws.s3.ObjectCreated:Put",
        source: "minio:s3.photos",
        id: "17F5.dd9025",
        subject: "a b/c.jpg",
        time: "2026-10-01T10:00:00.000Z",
        datacontenttype: "application/json",
      },
      { subject: "d.jpg" },
    ]);
    expect(JSON.parse(String(context.emitted[0]?.event.data))).toEqual(first);
    expect(JSON.stringify(context.emitted)).not.toContain("t0ken");
  });

  test("takes one that comes again once, and tells the store that it has it", async () => {
    const context = await open(spec);
    await post(context, put(record("a.jpg", "1")));
    expect(await post(context, put(record("a.jpg", "1")))).toMatchObject({ status: 202 });
    expect(await post(context, put(record("a.jpg", "1"), record("b.jpg", "2")))).toEqual({ status: 202 });
    expect(context.emitted.map(({ event }) => event.attributes.subject)).toEqual(["a.jpg", "b.jpg"]);
  });

  test.each([["ObjectCreated"], ["s3:ObjectCreated:*"], ["com.amazonaws.s3.ObjectCreated:Put"], ["ObjectCreated:Put"]])(
    "takes of %s what is, and has the store send the rest no more",
    async (wanted) => {
      const context = await open({ ...spec, events: [wanted] });
      const removed = record("old.jpg", "3", { eventName: "s3:ObjectRemoved:Delete" });
      expect(await post(context, put(removed))).toEqual({ status: 204 });
      expect(await post(context, put(removed, record("new.jpg", "4")))).toEqual({ status: 202 });
      expect(context.emitted.map(({ event }) => event.attributes.subject)).toEqual(["new.jpg"]);
    },
  );

  test("reads records of Ceph and of S3 too, a token in the query or in a header of one's own, and a test", async () => {
    const context = await open(spec);
    const ceph = record("c", "5", { eventSource: "ceph:s3", awsRegion: "default", eventName: "ObjectCreated:Put" });
    const query = new URLSearchParams({ access_token: "t0ken" });
    expect(await context.request({ query, body: Buffer.from(JSON.stringify({ Records: [ceph] })) })).toEqual({
      status: 202,
    });
    expect(context.emitted[0]?.event.attributes.source).toBe("ceph:s3.default.photos");
    expect(await post(context, { Event: "s3:TestEvent", Bucket: "photos" })).toEqual({ status: 204 });
    const own = await open({ ...spec, header: "X-Token" });
    expect(await post(own, put(record("e", "6")), { "x-token": "t0ken" })).toEqual({ status: 202 });
  });

  test("refuses a wrong token, and what is no notification", async () => {
    const context = await open(spec);
    const unauthorized = { kind: "unauthorized" };
    await expect(post(context, put(record("a", "7")), { authorization: "Bearer other" })).rejects.toMatchObject(
      unauthorized,
    );
    await expect(post(context, put(record("a", "7")), {})).rejects.toMatchObject(unauthorized);
    for (const body of [
      {},
      { Records: [] },
      { Records: [{ eventSource: "mail", eventName: "x" }] },
      { Records: [null] },
    ]) {
      await expect(post(context, body)).rejects.toMatchObject({ kind: "invalid" });
    }
    expect(context.emitted).toEqual([]);
  });
});

describe("a webhook of SNS", () => {
  let sns: SnsSender;
  beforeAll(async () => {
    sns = await SnsSender.open();
  });
  afterAll(() => sns.close());
  beforeEach(() => {
    sns.asked.length = 0;
    sns.certificate = undefined;
    sns.confirmStatus = 200;
  });
  const start = (more: object = {}, options: FakeSourceOptions = {}) =>
    open({ profile: "sns", topicArns: [TOPIC], endpoint: sns.url, ...more }, options);
  const CERTIFICATE = "/SimpleNotificationService-0123456789abcdef.pem";

  test.each(["1", "2"])("takes what is signed in version %s, and reads the certificate once", async (version) => {
    const context = await start();
    const given = { Subject: "About", Message: '{"total":7}', MessageId: "m-1" };
    expect(await context.request({ body: sns.message("Notification", given, version) })).toEqual({ status: 202 });
    expect(await context.request({ body: sns.message("Notification", given, version) })).toMatchObject({ status: 202 });
    expect(await context.request({ body: sns.message("Notification", {}, version) })).toEqual({ status: 202 });
    expect(context.emitted.map(({ event }) => event)).toMatchObject([
      {
        attributes: {
          type: "com.amazonaws.sns.notification",
          source: TOPIC,
          id: "m-1",
          subject: "About",
          datacontenttype: "application/json",
        },
        data: Buffer.from('{"total":7}'),
      },
      { attributes: { datacontenttype: "text/plain; charset=utf-8" }, data: Buffer.from("hello") },
    ]);
    expect(sns.asked).toEqual([CERTIFICATE]);
  });

  test("takes notifications of S3, and events, out of their messages", async () => {
    const context = await start();
    const s3 = {
      Records: [
        {
          eventSource: "aws:s3",
          awsRegion: "eu-central-1",
          eventName: "ObjectCreated:Put",
          eventTime: "2026-10-01T10:00:00.000Z",
          s3: { bucket: { name: "b" }, object: { key: "k" } },
          responseElements: { "x-amz-request-id": "R", "x-amz-id-2": "I" },
        },
      ],
    };
    const event = { specversion: "1.0", id: "own", source: "/own", type: "own.type", data: { a: 1 } };
    for (const message of [s3, { Event: "s3:TestEvent" }, event]) {
      await context.request({ body: sns.message("Notification", { Message: JSON.stringify(message) }) });
    }
    expect(
      context.emitted.map(({ event: { attributes } }) => [attributes.type, attributes.source, attributes.id]),
    ).toEqual([
      ["com.amazonaws.s3.ObjectCreated:Put", "aws:s3.eu-central-1.b", "R.I"],
      ["own.type", "/own", "own"],
    ]);
  });

  test("confirms a subscription to its topic, and asks to be sent it again when that fails", async () => {
    const context = await start();
    sns.confirmStatus = 500;
    const body = sns.message("SubscriptionConfirmation");
    await expect(context.request({ body })).rejects.toMatchObject({ kind: "unavailable" });
    sns.confirmStatus = 200;
    expect(await context.request({ body })).toEqual({ status: 204 });
    const confirmation = `/?Action=ConfirmSubscription&TopicArn=${TOPIC}&Token=t-1`;
    expect(sns.asked).toEqual([CERTIFICATE, confirmation, confirmation]);
    expect(context.emitted).toEqual([]);
  });

  test("does not take a subscription up again that was ended, and tells of it", async () => {
    const context = await start();
    expect(await context.request({ body: sns.message("UnsubscribeConfirmation") })).toEqual({ status: 204 });
    expect(sns.asked).toEqual([CERTIFICATE]);
    expect(String(context.warnings)).toContain("has been ended");
  });

  test.each<[what: string, make: (sns: SnsSender) => Buffer]>([
    ["a changed message", () => sns.message("Notification", {}, "2", { Message: "other" })],
    ["a changed subject", () => sns.message("Notification", { Subject: "a" }, "2", { Subject: "b" })],
    ["a signature of another version", () => sns.message("Notification", {}, "1", { SignatureVersion: "2" })],
    ["no signature", () => sns.message("Notification", {}, "2", { Signature: "AAAA" })],
    ["a message of another topic", () => sns.message("Notification", { TopicArn: `${TOPIC}-other` })],
    ["an old message", () => sns.message("Notification", { Timestamp: "2020-01-01T00:00:00.000Z" })],
    ["a message of the future", () => sns.message("Notification", { Timestamp: "2099-01-01T00:00:00.000Z" })],
    ["a confirmation that was not signed", () => sns.message("SubscriptionConfirmation", {}, "2", { Token: "t-2" })],
  ])("refuses %s", async (_what, make) => {
    const context = await start();
    await expect(context.request({ body: make(sns) })).rejects.toMatchObject({ kind: "unauthorized" });
    expect(context.emitted).toEqual([]);
    expect(sns.asked.filter((path) => path !== CERTIFICATE)).toEqual([]);
  });

  test.each<[where: string, given: (other: string) => Record<string, string>]>([
    ["a certificate elsewhere", (other) => ({ SigningCertURL: `${other}/a.pem` })],
    ["a certificate behind a login", (other) => ({ SigningCertURL: `${other.replace("//", "//u:p@")}/a.pem` })],
    ["a certificate on the machine", () => ({ SigningCertURL: "file:///etc/ssl/a.pem" })],
    [
      "a confirmation elsewhere",
      (other) => ({ SubscribeURL: `${other}/?Action=ConfirmSubscription&TopicArn=${TOPIC}` }),
    ],
    [
      "a confirmation that does something else",
      () => ({ SubscribeURL: `${sns.url}/?Action=DeleteTopic&TopicArn=${TOPIC}` }),
    ],
    [
      "a confirmation for another topic",
      () => ({ SubscribeURL: `${sns.url}/?Action=ConfirmSubscription&TopicArn=${TOPIC}-other` }),
    ],
    [
      "a confirmation at a path",
      () => ({ SubscribeURL: `${sns.url}/admin?Action=ConfirmSubscription&TopicArn=${TOPIC}` }),
    ],
  ])("is led nowhere by %s, though it is signed", async (_where, given) => {
    const other = await SnsSender.open();
    try {
      const context = await start();
      const body = sns.message("SubscriptionConfirmation", given(other.url));
      await expect(context.request({ body })).rejects.toMatchObject({ kind: "unauthorized" });
      expect(other.asked).toEqual([]);
      expect(sns.asked.filter((path) => path !== CERTIFICATE)).toEqual([]);
    } finally {
      await other.close();
    }
  });

  test.each<[what: string, answer: { status: number; body: string }, kind: string]>([
    ["is not there", { status: 404, body: "" }, "unauthorized"],
    ["cannot be had", { status: 503, body: "" }, "unavailable"],
    ["is elsewhere now", { status: 302, body: "" }, "unauthorized"],
    ["is none", { status: 200, body: "hello" }, "unauthorized"],
    ["has no end", { status: 200, body: "x".repeat(100_000) }, "unavailable"],
    ["is of another kind", { status: 200, body: makeCertificate("sns.amazonaws.com").cert }, "unauthorized"],
    ["is over", { status: 200, body: makeCertificate("x", [], -1_000, "rsa").cert }, "unauthorized"],
    ["is another's", { status: 200, body: makeCertificate("x", [], 3600e3, "rsa").cert }, "unauthorized"],
  ])("refuses a message whose certificate %s", async (_what, certificate, kind) => {
    sns.certificate = certificate;
    const context = await start();
    await expect(context.request({ body: sns.message("Notification") })).rejects.toMatchObject({ kind });
    expect(context.emitted).toEqual([]);
    expect(sns.asked).toEqual([CERTIFICATE]);
  });

  test("asks nobody whom the platform's rules for outbound requests exclude", async () => {
    const context = await start({}, { targets: { private: false, allow: [], deny: [] } });
    await expect(context.request({ body: sns.message("Notification") })).rejects.toMatchObject({ kind: "unavailable" });
    expect(sns.asked).toEqual([]);
  });

  test("asks for a certificate that is not there once, however many messages name it", async () => {
    sns.certificate = { status: 404, body: "" };
    const context = await start();
    for (let time = 0; time < 5; time++) {
      await expect(context.request({ body: sns.message("Notification") })).rejects.toMatchObject({
        kind: "unauthorized",
      });
    }
    expect(sns.asked).toEqual([CERTIFICATE]);
  });

  test.each(["", "[]", "{}", '{"Type":"Other"}', '{"Type":"Notification","SignatureVersion":"3"}', "a=b"])(
    "refuses %s, which is no message",
    async (text) => {
      const context = await start();
      await expect(context.request({ body: Buffer.from(text) })).rejects.toMatchObject({ kind: "invalid" });
    },
  );

  test.each([
    [{ profile: "sns" }, "topicArns: is required"],
    [{ profile: "sns", topicArns: ["orders"] }, "topicArns.0: must be the ARN of a topic"],
    [{ profile: "sns", topicArns: [TOPIC], secret: { secret: "s" } }, "secret: is not for the profile sns"],
    [{ profile: "github", secret: { secret: "s" }, topicArns: [TOPIC] }, "topicArns: is for the profile sns alone"],
    [{ profile: "s3" }, "secret: is required"],
  ])("declared as %j is refused with %s", (given, message) => {
    const { error } = webhookSource.settings.safeParse(given);
    expect(error?.issues.map(({ path, message: said }) => `${path.join(".")}: ${said}`).join("; ")).toContain(message);
  });
});

describe("addresses of AWS", () => {
  const ARN = {
    de: TOPIC,
    cn: "arn:aws-cn:sns:cn-north-1:123456789012:t",
    gov: "arn:aws-us-gov:sns:us-gov-west-1:123456789012:t",
  };
  const message = (topicArn: string, SigningCertURL: string, SubscribeURL = "x") =>
    parseSnsMessage(
      Buffer.from(
        JSON.stringify({
          Type: "SubscriptionConfirmation",
          MessageId: "1",
          Message: "m",
          Timestamp: new Date().toISOString(),
          SignatureVersion: "2",
          Signature: "AAAA",
          Token: "t",
          TopicArn: topicArn,
          SigningCertURL,
          SubscribeURL,
        }),
      ),
    );
  const PEM = "/SimpleNotificationService-0123456789abcdef.pem";

  test.each([
    [ARN.de, "https://sns.eu-central-1.amazonaws.com"],
    [ARN.cn, "https://sns.cn-north-1.amazonaws.com.cn"],
    [ARN.gov, "https://sns.us-gov-west-1.amazonaws.com"],
  ])("of %s are at %s", (arn, origin) => {
    const confirm = `${origin}/?Action=ConfirmSubscription&TopicArn=${arn}&Token=t`;
    const given = message(arn, origin + PEM, confirm);
    expect(certificateUrl(given, undefined).href).toBe(origin + PEM);
    expect(confirmationUrl(given, undefined).origin).toBe(origin);
  });

  test.each([
    `http://sns.eu-central-1.amazonaws.com${PEM}`,
    `https://sns.us-east-1.amazonaws.com${PEM}`,
    `https://sns.eu-central-1.amazonaws.com.evil.test${PEM}`,
    `https://sns.eu-central-1.amazonaws.com:8443${PEM}`,
    `https://evil.test/sns.eu-central-1.amazonaws.com${PEM}`,
    `https://sns.eu-central-1.amazonaws.com@evil.test${PEM}`,
    `https://evil@sns.eu-central-1.amazonaws.com${PEM}`,
    "https://sns.eu-central-1.amazonaws.com/evil.pem",
    `https://sns.eu-central-1.amazonaws.com${PEM}?x=1`,
    `https://sns.eu-central-1.amazonaws.com${PEM}#x`,
    `https://sns.eu-central-1.amazonaws.com/bucket/..%2f${PEM}`,
    `https://evil-bucket.s3.amazonaws.com${PEM}`,
    "https://169.254.169.254/latest.pem",
  ])("do not include %s", (url) => {
    expect(() => certificateUrl(message(ARN.de, url), undefined)).toThrow("SigningCertURL");
  });

  test("a certificate is as good as its time", () => {
    const { cert } = makeCertificate("sns.amazonaws.com", [], 3600e3, "rsa");
    expect(() => signingKey(cert, Date.now())).not.toThrow();
    for (const ms of [-24 * 3600e3, 24 * 3600e3])
      expect(() => signingKey(cert, Date.now() + ms)).toThrow("not valid now");
  });
});
