import type { LookupAddress } from "node:dns";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import { expect, test } from "@jest/globals";
import { CallbackSender } from "../../../gateway/async/callbacks/sender.ts";
import { CallbackSigner } from "../../../gateway/async/callbacks/signer.ts";
import type { Lookup } from "../../../kit/outbound/connector.ts";
import { type CallbackTargetRules, CallbackTargets } from "../../../kit/outbound/targets.ts";
import { type Received, WorkerSetup } from "./worker-setup.ts";

const setup = WorkerSetup.use();

const rules = (given: Partial<CallbackTargetRules>) =>
  new CallbackTargets({ private: false, allow: [], deny: [], ...given });

/** Answers with one list of addresses after the other, the last one for ever. */
function resolver(...answers: string[][]): { readonly lookup: Lookup; readonly asked: string[] } {
  const asked: string[] = [];
  const lookup: Lookup = (hostname, _options, callback) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)] ?? [];
    asked.push(hostname);
    const addresses = answer.map((address): LookupAddress => ({ address, family: address.includes(":") ? 6 : 4 }));
    process.nextTick(callback, null, addresses);
  };
  return { lookup, asked };
}

test("a host of the allow list may stand for any address", async () => {
  const { lookup } = resolver(["127.0.0.1"]);
  await setup.start({ targets: rules({ allow: ["*.hooks.test"] }), lookup });
  await setup.publish({ callbackUrl: `http://a.hooks.test:${setup.receiver.port}/` });
  await setup.settled();
  expect(setup.receiver.received).toHaveLength(1);
});

test("a name that cannot be looked up is tried again", async () => {
  let asked = 0;
  const lookup: Lookup = (_hostname, _options, callback) => {
    asked++;
    if (asked < 3) callback(Object.assign(new Error("not now"), { code: "EAI_AGAIN" }), []);
    else callback(null, [{ address: "127.0.0.1", family: 4 }]);
  };
  await setup.start({ lookup });
  await setup.publish({ callbackUrl: `http://later.test:${setup.receiver.port}/` });
  await setup.settled();
  expect(asked).toBe(3);
  expect(setup.receiver.received).toHaveLength(1);
});

type IsGenuine = (header: unknown, rawBody: Buffer, secret: string, toleranceSeconds?: number) => boolean;

/** The receiver of the documentation, which shares no code with the sender. */
async function openReceiver(): Promise<IsGenuine> {
  const docs = await readFile(new URL("../../../docs/callbacks.md", import.meta.url), "utf8");
  const code = /```js\n([\s\S]*?)```/.exec(docs)?.[1];
  const path = join(setup.folder, "receiver.mjs");
  await writeFile(path, `${code}\nexport { isGenuine };\n`);
  return ((await import(pathToFileURL(path).href)) as { isGenuine: IsGenuine }).isGenuine;
}

test.each([
  ["small", 10],
  ["empty", 0],
  ["large, from a file", 1_000_000],
])("a callback is signed over its time and body: %s", async (_size, bytes) => {
  setup.gateway.answer = (_request, res) =>
    res.writeHead(200, { "x-faaslane-signature": "t=1,v1=forged" }).end(Buffer.alloc(bytes, "result"));
  setup.receiver.answer = (_request, res, count) => res.writeHead(count < 2 ? 503 : 200).end();
  await setup.start({ signer: new CallbackSigner(["old secret", "new secret"]) });
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.receiver.received).toHaveLength(2);
  const isGenuine = await openReceiver();
  for (const { headers, body } of setup.receiver.received) {
    const signature = String(headers["x-faaslane-signature"]);
    expect(signature).toMatch(/^t=\d+,v1=[0-9a-f]{64},v1=[0-9a-f]{64}$/);
    expect(body).toHaveLength(bytes);
    expect(isGenuine(signature, body, "new secret")).toBe(true);
    expect(isGenuine(signature, body, "old secret")).toBe(true);
    expect(isGenuine(signature, body, "another secret")).toBe(false);
    expect(isGenuine(signature, Buffer.concat([body, Buffer.from(" ")]), "new secret")).toBe(false);
    expect(isGenuine(signature, body, "new secret", -1)).toBe(false);
    // An old signature cannot be given a new time.
    expect(isGenuine(signature.replace(/^t=\d+/, "t=1"), body, "new secret", Number.POSITIVE_INFINITY)).toBe(false);
  }
  expect(JSON.stringify(setup.logged)).not.toContain("secret");
});

test("a body that changes after it was signed is broken off, not sent with a wrong signature", async () => {
  const sender = new CallbackSender({
    timeoutMs: 10_000,
    retry: { tries: 3, minWaitMs: 1, maxWaitMs: 2, deadlineMs: 10_000 },
    targets: rules({ private: true }),
    signer: new CallbackSigner(["secret"]),
    now: Date.now,
    random: Math.random,
  });
  try {
    let reads = 0;
    const body = () => Readable.from([Buffer.from(`state ${++reads < 4 ? reads : "settled"}`)], { objectMode: false });
    const message = { headers: ["Content-Type", "text/plain"], body: { body } };
    const outcome = await sender.send(setup.callbackUrl, message, new AbortController().signal);
    expect(outcome).toMatchObject({ kind: "delivered", tries: 3 });
    expect(setup.receiver.received.map((received) => received.body.toString())).toEqual(["state settled"]);
    const [{ headers, body: sent }] = setup.receiver.received as [Received];
    expect((await openReceiver())(headers["x-faaslane-signature"], sent, "secret")).toBe(true);
  } finally {
    await sender.close();
  }
});

test("without a secret nothing is signed, not even by the function", async () => {
  setup.gateway.answer = (_request, res) => res.writeHead(200, { "x-faaslane-signature": "t=1,v1=forged" }).end();
  await setup.start();
  await setup.publish({ callbackUrl: setup.callbackUrl });
  await setup.settled();
  expect(setup.receiver.received[0]?.headers).not.toHaveProperty("x-faaslane-signature");
});

test.each([[[]], [[""]], [["good", ""]]])("secrets %j are none", (secrets) => {
  expect(() => new CallbackSigner(secrets)).toThrow("must not be empty");
});
