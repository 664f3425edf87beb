import { readdir, readFile } from "node:fs/promises";
import { request } from "node:http";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { BuildConfig, BuildEvent } from "../../contract/build.ts";
import { FaasError } from "../../contract/errors.ts";
import type { ProviderOptions } from "../../provider/app.ts";
import type { Builder } from "../../provider/backends/backend.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/platform.ts";
import { FakeBackend } from "./fake-backend.ts";
import { LineReader, serveProvider, type TestProvider } from "./support.ts";

/** A builder that does what the test tells it. */
class FakeBuilder implements Builder {
  readonly built: { archive: Buffer; config: BuildConfig; signal: AbortSignal }[] = [];
  script: (signal: AbortSignal) => AsyncIterable<BuildEvent> = async function* () {
    yield { status: "in_progress", log: ["hello"] };
    yield { status: "success", image: "x@sha256:abc" };
  };

  async *build(archive: string, config: BuildConfig, signal: AbortSignal): AsyncGenerator<BuildEvent> {
    this.built.push({ archive: await readFile(archive), config, signal });
    yield* this.script(signal);
  }
}

let builder: FakeBuilder;
let provider: TestProvider;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const open = async (options: Partial<ProviderOptions> = {}) => {
  await provider?.close();
  provider = await serveProvider({ backend: new FakeBackend(builder), uploadDir: folder.path, ...options });
};
beforeEach(async () => {
  folder = await temporaryFolder();
  builder = new FakeBuilder();
  await open();
});
afterEach(async () => {
  await provider.close();
  await folder.remove();
});

type Part = readonly [name: string, content: string | Blob, file?: string];
const context: Part = ["context", new Blob(["archive"]), "context.tar"];
const config: Part = ["config", JSON.stringify({ image: "x:1" })];

async function upload(...parts: Part[]): Promise<Response> {
  const form = new FormData();
  for (const [name, content, file] of parts) {
    if (typeof content === "string") form.append(name, content);
    else form.append(name, content, file);
  }
  return await fetch(`${provider.url}/system/build`, { method: "POST", body: form });
}

const noUploads = () => eventually("uploads are removed", async () => (await readdir(folder.path)).length === 0);

test.each<[order: string, parts: Part[]]>([
  ["context first", [context, config]],
  ["config first", [config, context]],
])("a build is NDJSON events (%s)", async (_order, parts) => {
  const response = await upload(...parts);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/x-ndjson");
  expect(await new LineReader(response).rest()).toEqual([
    { status: "in_progress", log: ["hello"] },
    { status: "success", image: "x@sha256:abc" },
  ]);
  expect(builder.built).toMatchObject([{ archive: Buffer.from("archive"), config: { image: "x:1" } }]);
  await noUploads();
});

test("arguments are passed on", async () => {
  const full = { image: "x:1", buildArgs: { A: "1" }, platforms: ["linux/amd64"] };
  await (await upload(context, ["config", JSON.stringify({ ...full, skipPush: true })])).text();
  expect(builder.built[0]?.config).toEqual(full);
});

test("a failure before the first event is a status", async () => {
  // biome-ignore lint/correctness/useYield: it fails first
  builder.script = async function* () {
    throw new FaasError("invalid", "build context: bad");
  };
  const response = await upload(context, config);
  expect(`${response.status} ${await response.text()}`).toBe("400 build context: bad\n");
  await noUploads();
});

test.each<[rule: string, thrown: Error, error: string]>([
  ["one we know", new FaasError("invalid", "build context: bad"), "build context: bad"],
  ["one nobody foresaw", new Error("the password is hunter2"), "internal error"],
])("a failure after the first event is a failed event: %s", async (_rule, thrown, error) => {
  builder.script = async function* () {
    yield { status: "in_progress", log: ["hello"] };
    throw thrown;
  };
  const events = await new LineReader(await upload(context, config)).rest();
  expect(events).toEqual([
    { status: "in_progress", log: ["hello"] },
    { status: "failed", error },
  ]);
  await noUploads();
});

test("a body without a length is stopped once it is over the limit, though it never ends", async () => {
  await open({ maxUploadBytes: 1000 });
  const asking = request(`${provider.url}/system/build`, {
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=b" },
  });
  asking.on("error", () => {});
  asking.write('--b\r\nContent-Disposition: form-data; name="context"; filename="x"\r\n\r\n');
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  asking.once("response", (answer) => resolve(answer.resume().statusCode));
  for (let sent = 0; sent < 3; sent++) asking.write(Buffer.alloc(1024 ** 2));
  expect(await promise).toBe(413);
  asking.destroy();
  await noUploads();
});

test("a client that leaves during the upload leaves nothing behind", async () => {
  const asking = request(`${provider.url}/system/build`, {
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=b" },
  });
  asking.on("error", () => {});
  asking.write('--b\r\nContent-Disposition: form-data; name="context"; filename="x"\r\n\r\nabc');
  await eventually("the upload has begun", async () => (await readdir(folder.path)).length === 1);
  asking.destroy();
  await noUploads();
  expect(builder.built).toEqual([]);
});

/** A build that goes on until its signal aborts. */
async function* endless(signal: AbortSignal): AsyncGenerator<BuildEvent> {
  yield { status: "in_progress", log: ["hello"] };
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
}

test("a client that leaves during the build stops it", async () => {
  builder.script = endless;
  const lines = new LineReader(await upload(context, config));
  await lines.next();
  await lines.leave();
  await eventually("the builder is told", () => builder.built[0]?.signal.aborted);
  await noUploads();
});

test("a quiet build shows that it is alive, and ends when the provider closes", async () => {
  await open({ heartbeatMs: 10 });
  builder.script = endless;
  const lines = new LineReader(await upload(context, config));
  expect(await lines.next()).toEqual({ status: "in_progress", log: ["hello"] });
  for (let beat = 0; beat < 3; beat++) expect(await lines.next()).toEqual({ status: "in_progress", log: [] });
  await provider.close();
  expect(builder.built[0]?.signal.aborted).toBe(true);
});

test("a build that is silent for long has its answer begun, so that no hop gives it up", async () => {
  await open({ heartbeatMs: 10, buildHeadAfterMs: 50 });
  const { promise: unpacked, resolve: unpack } = Promise.withResolvers<void>();
  builder.script = async function* () {
    await unpacked;
    yield { status: "success", image: "x@sha256:abc" };
  };
  const answer = await upload(context, config);
  expect(answer.status).toBe(200);
  const lines = new LineReader(answer);
  expect(await lines.next()).toEqual({ status: "in_progress", log: [] });
  unpack();
  expect((await lines.rest()).at(-1)).toEqual({ status: "success", image: "x@sha256:abc" });
  await noUploads();
});

test.each<[when: string, headAfterMs: number, expected: string]>([
  ["soon is a 400", 5_000, "400 build context: is broken\n"],
  ["late is its last event", 0, '200 {"status":"failed","error":"build context: is broken"}\n'],
])("a context that is found broken %s", async (_when, buildHeadAfterMs, expected) => {
  await open({ buildHeadAfterMs });
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  // biome-ignore lint/correctness/useYield: it fails before there is anything to tell
  builder.script = async function* () {
    if (buildHeadAfterMs === 0) await begun;
    throw new FaasError("invalid", "build context: is broken");
  };
  const answer = await upload(context, config);
  begin();
  expect(`${answer.status} ${await answer.text()}`).toBe(expected);
  await noUploads();
});

test("more builds than allowed are turned away before they are received", async () => {
  await open({ maxBuildRequests: 1 });
  builder.script = endless;
  const lines = new LineReader(await upload(context, config));
  await lines.next();
  const second = await upload(context, config);
  expect(`${second.status} ${await second.text()}`).toBe("429 build: too many builds at a time, try again later\n");
  await lines.leave();
  await eventually("there is room again", async () => {
    builder.script = new FakeBuilder().script;
    return (await upload(context, config)).status === 200;
  });
});
