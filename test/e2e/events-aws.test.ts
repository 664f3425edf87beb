import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { FauxqsServer } from "fauxqs";
import { RunningSource } from "../support/events/declared-source.ts";
import { judge, runKilled } from "../support/events/killed-source.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";
import { startAws } from "../support/servers/fauxqs.ts";
import { TcpRelay } from "../support/tcp-relay.ts";

const MIB = 1024 ** 2;
const credentials = { accessKeyId: { secret: "id" }, secretAccessKey: { secret: "key" } };
const secrets = { id: "AKIATEST00000000", key: "wr0ng-secret-key" };

let server: FauxqsServer;
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  server = await startAws();
});

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close();
});

afterAll(async () => {
  await server?.stop();
});

const endpoint = () => `http://127.0.0.1:${server.port}`;

async function sqs(queue: string, spec: object = {}): Promise<RunningSource> {
  const running = await RunningSource.start(
    queue.split("/").at(-1) as string,
    { type: "sqs", queue, endpoint: endpoint(), credentials, waitTime: 1, ...spec },
    secrets,
  );
  opened.push(running);
  return running;
}

/** @returns its URL */
async function listening(http: Server): Promise<string> {
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  opened.push({
    close: async () => {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

async function emptied(queue: string): Promise<void> {
  await eventually(
    "all are deleted",
    () => {
      const { ready, inflight } = server.inspectQueue(queue)?.messages ?? { ready: [0], inflight: [] };
      return ready.length === 0 && inflight.length === 0;
    },
    20_000,
  );
}

test("messages of SQS become events as they are, and are deleted", async () => {
  const { queueUrl } = server.createQueue("orders");
  const attribute = (StringValue: string) => ({ DataType: "String", StringValue });
  const { messageId } = server.sendMessage("orders", '{"a" : 1.0}', {
    messageAttributes: { "content-type": attribute("application/json") },
  });
  const running = await sqs("orders");
  const [event] = await running.events(1);
  expect(event?.event.attributes).toMatchObject({
    id: messageId,
    type: "com.faaslane.sqs.message",
    source: "/apis/v1/namespaces/openfaas-fn/sqssources/orders#orders",
    subject: "orders",
    topic: "orders",
    datacontenttype: "application/json",
  });
  expect(String(event?.event.data)).toBe('{"a" : 1.0}');
  expect(event?.headers).toEqual(
    expect.arrayContaining([
      ["X-Topic", "orders"],
      ["X-SQS-Message-ID", messageId],
      ["X-SQS-Queue-URL", expect.stringContaining("/orders")],
    ]),
  );
  const cloudEvent = { specversion: "1.0", id: "e-1", source: "/shop", type: "order.new", data: { n: 1 } };
  server.sendMessage("orders", JSON.stringify(cloudEvent));
  server.sendMessage("orders", JSON.stringify({ ...cloudEvent, specversion: "9" }));
  const [, passed, broken] = await running.events(3);
  expect(passed?.event.attributes).toMatchObject({ id: "e-1", source: "/shop", type: "order.new", topic: "orders" });
  expect(broken?.event.attributes.type).toBe("com.faaslane.sqs.message");
  await emptied("orders");
  expect(queueUrl).toContain("orders");
});

test("notifications of S3 become an event for each record, also through SNS; the test event becomes none", async () => {
  server.createQueue("bucket");
  const record = (key: string, answer: object) => ({
    eventSource: "aws:s3",
    awsRegion: "eu-central-1",
    eventTime: "2026-01-02T03:04:05.000Z",
    eventName: "ObjectCreated:Put",
    responseElements: answer,
    s3: { bucket: { name: "photos" }, object: { key, size: 3, eTag: "e", sequencer: "0055" } },
  });
  const both = { "x-amz-request-id": "R", "x-amz-id-2": "I" };
  server.sendMessage("bucket", JSON.stringify({ Service: "Amazon S3", Event: "s3:TestEvent", Bucket: "photos" }));
  server.sendMessage("bucket", JSON.stringify({ Records: [record("a+b%2Fc.txt", both), record("d", {})] }));
  const Message = JSON.stringify({ Records: [record("e%", both)] });
  server.sendMessage("bucket", JSON.stringify({ Type: "Notification", Message }));
  const running = await sqs("bucket");
  const events = await running.events(3);
  await emptied("bucket");
  expect(events.map(({ event }) => event.attributes)).toEqual(
    ["R.I a b/c.txt", "0055 d", "R.I e%"].map((named) =>
      expect.objectContaining({
        type: "com.amazonaws.s3.ObjectCreated:Put",
        source: "aws:s3.eu-central-1.photos",
        id: named.split(" ")[0],
        subject: named.slice(named.indexOf(" ") + 1),
        topic: "bucket",
        time: expect.stringMatching(/^2026-01-02T03:04:05/),
      }),
    ),
  );
  expect(JSON.parse(String(events[1]?.event.data))).toEqual(record("d", {}));
});

test("what is in a queue is stored however often the process is killed; what comes twice has one source and id", async () => {
  const folder = await temporaryFolder();
  opened.push({ close: () => folder.remove() });
  server.createQueue("kill");
  for (let n = 0; n < 300; n++) server.sendMessage("kill", `message ${n}`);
  const spec = { type: "sqs", queue: "kill", endpoint: endpoint(), credentials, waitTime: 1, visibilityTimeout: 2 };
  const stored = await runKilled(
    { path: join(folder.path, "events.db"), spec, secrets },
    [
      { append: 1, step: "before" },
      { append: 2, step: "after" },
      { append: 3, step: "after" },
    ],
    300,
  );
  const { distinct, torn, repeated } = judge(stored);
  expect({ distinct, torn }).toEqual({ distinct: 300, torn: [] });
  expect(repeated).toBeGreaterThan(0);
}, 120_000);

test("a server that was away is read on, and a store that was away gets what came meanwhile once", async () => {
  server.createQueue("away");
  let relay = await TcpRelay.open(`127.0.0.1:${server.port}`);
  const { port } = relay;
  const running = await sqs("away", { endpoint: `http://${relay.address}`, visibilityTimeout: 2 });
  await running.connected();
  server.sendMessage("away", "1");
  await running.events(1);
  await relay.close();
  expect(await running.failing()).toContain("SQS queue away");
  server.sendMessage("away", "2");
  relay = await TcpRelay.open(`127.0.0.1:${server.port}`, port);
  opened.push(relay);
  await eventually("it is read on", () => running.texts.includes("2"), 20_000);
  running.log.failing = new Error("the store is away");
  server.sendMessage("away", "3");
  await eventually("it is told", () => running.status.problem?.includes("the store is away"), 20_000);
  const hiddenUntil = () => server.inspectQueue("away")?.messages.inflight[0]?.visibilityDeadline ?? 0;
  const first = hiddenUntil();
  await eventually("it stays hidden for longer", () => hiddenUntil() > first, 20_000);
  running.log.failing = undefined;
  await eventually("it is stored", () => running.texts.includes("3"), 20_000);
  await emptied("away");
  expect([...new Set(running.texts)]).toEqual(["1", "2", "3"]);
}, 120_000);

test("the largest message is taken; one that the store never takes stays, and keeps no other back", async () => {
  server.createQueue("large");
  server.sendMessage("large", "x".repeat(MIB));
  const running = await sqs("large");
  expect((await running.events(1))[0]?.event.data?.length).toBe(MIB);
  await emptied("large");
  running.log.refuse = (event) => String(event.data) === "refused";
  server.sendMessage("large", "refused");
  server.sendMessage("large", "good");
  await eventually("the other is stored", () => running.texts.includes("good"), 20_000);
  await eventually("it is told", () => running.status.errors > 0, 20_000);
  await eventually("one is left", () => server.inspectQueue("large")?.messages.inflight.length === 1, 20_000);
  expect(running.texts).not.toContain("refused");
});

test("who may not ask how many messages there are gets them all the same", async () => {
  server.createQueue("uncounted");
  const denied = JSON.stringify({ __type: "com.amazon.coral.service#AccessDeniedException", message: "no" });
  const guard = createServer(async (request, response) => {
    const target = String(request.headers["x-amz-target"]);
    const body = await text(request);
    const headers = { "content-type": "application/x-amz-json-1.0", "x-amz-target": target };
    const isDenied = target.endsWith("GetQueueAttributes");
    const answer = isDenied ? undefined : await fetch(endpoint(), { method: "POST", headers, body });
    response.writeHead(answer?.status ?? 403, { "content-type": "application/x-amz-json-1.0" });
    response.end((await answer?.text()) ?? denied);
  });
  const running = await sqs("uncounted", { endpoint: await listening(guard) });
  await running.connected();
  server.sendMessage("uncounted", "1");
  await running.events(1);
  await emptied("uncounted");
  expect(running.status).toMatchObject({ state: "connected", errors: 0 });
});

test("wrong credentials are told without them, and so is a queue that is not there", async () => {
  const refusing = createServer((_request, response) => {
    response.writeHead(403, { "content-type": "application/x-amz-json-1.0" });
    const message = `The key ${secrets.id} with ${secrets.key} is not valid.`;
    response.end(JSON.stringify({ __type: "com.amazon.coral.service#InvalidClientTokenId", message }));
  });
  const at = await listening(refusing);
  const told = await (await sqs("secret", { endpoint: at })).failing();
  expect(told).toContain("InvalidClientTokenId");
  for (const secret of Object.values(secrets)) expect(told).not.toContain(secret);
  expect(await (await sqs("missing")).failing()).toContain("QueueDoesNotExist");
});

test("objects of a bucket that are new or have changed are told, over pages, and none twice after a restart", async () => {
  server.createBucket("photos");
  const keys = { accessKeyId: secrets.id, secretAccessKey: secrets.key };
  const client = new S3Client({
    endpoint: endpoint(),
    region: "eu-central-1",
    credentials: keys,
    forcePathStyle: true,
  });
  const put = (Key: string, Body: string) => client.send(new PutObjectCommand({ Bucket: "photos", Key, Body }));
  try {
    // More than one page has.
    for (let n = 0; n < 1_100; n += 50)
      await Promise.all(Array.from({ length: 50 }, (_, i) => put(`in/${n + i}`, "1")));
    await put("out/1", "1");
    const spec = { type: "s3", bucket: "photos", prefix: "in/", endpoint: endpoint(), credentials, interval: "1s" };
    const [all, fresh] = [
      await RunningSource.start("all", { ...spec, region: "eu-central-1", start: "all" }, secrets),
      await RunningSource.start("fresh", spec, secrets),
    ];
    opened.push(all, fresh);
    await all.events(1_100);
    await fresh.connected();
    expect(fresh.log.appended).toEqual([]);
    await put("in/a b+c", "new");
    await put("in/7", "changed");
    const events = await fresh.events(2);
    expect(events.map(({ event }) => event.attributes.subject).sort()).toEqual(["in/7", "in/a b+c"]);
    const told = (await all.events(1_102)).find(({ event }) => event.attributes.subject === "in/a b+c");
    expect(told?.event.attributes).toMatchObject({
      type: "com.amazonaws.s3.ObjectCreated:Put",
      source: "aws:s3.eu-central-1.photos",
      topic: "photos",
    });
    expect(JSON.parse(String(told?.event.data)).s3.object).toMatchObject({ key: "in%2Fa+b%2Bc", size: 3 });
    await all.declare({ ...spec, region: "eu-central-1", start: "all", interval: "2s" });
    await put("in/last", "1");
    await all.events(1_103);
    expect(new Set(all.log.appended.map(({ event }) => event.attributes.id)).size).toBe(1_103);
    expect(all.log.appended.length).toBe(1_103);
  } finally {
    client.destroy();
  }
}, 120_000);

test("a bucket that is not there is told", async () => {
  const spec = { type: "s3", bucket: "missing", endpoint: endpoint(), credentials };
  const running = await RunningSource.start("no-bucket", spec, secrets);
  opened.push(running);
  expect(await running.failing()).toContain("NoSuchBucket");
});
