import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type CallDetails, type CallList, decodeCallDetails, decodeCallList } from "../../contract/calls.ts";
import { ERROR_HEADER } from "../../contract/error-codes.ts";
import { loadGatewayConfig } from "../../gateway/process/config.ts";
import { type OpenGateway, openGateway } from "../../gateway/process/serve.ts";
import { basicAuthHeader } from "../../kit/basic-auth.ts";
import { createLogger } from "../../kit/log.ts";
import { runHere } from "../cli/support/run-cli.ts";
import { eventually } from "../support/eventually.ts";
import { FakeProvider } from "../support/fake-provider.ts";
import { temporaryFolder } from "../support/platform.ts";

/** Looking through a queue that nobody takes calls from, over HTTP and from the command line. */
const credentials = { user: "admin", password: "a long password" };
const authorization = basicAuthHeader(credentials);
const ODD = "a/b?c=%2F é..\u2028";
const ESCAPES = "\u009b31m\u009d0;owned\u009c";

let provider: FakeProvider;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let gateway: OpenGateway;
let ids: string[];

beforeAll(async () => {
  folder = await temporaryFolder();
  provider = await FakeProvider.open();
  for (const name of ["f", "g"]) provider.put({ name });
  const config = loadGatewayConfig({
    port: "0",
    metrics_port: "0",
    functions_provider_url: provider.url.href,
    data_dir: join(folder.path, "data"),
    async_worker: "false",
    drain_timeout: "1s",
  });
  gateway = await openGateway(config, credentials, createLogger("silent"));
  await eventually("it follows the provider", () => provider.streamCount === 1);
  ids = [
    await post("f/sub/path?page=2&token=t0p", "hello", {
      "X-Call-Id": "mine",
      Authorization: "Bearer s3cret",
      Cookie: "session=s3cret",
      "X-Plain": "plain",
      "X-Callback-Url": "http://user:s3cret@receiver/hook?key=s3cret",
    }),
    await post("g", "later", { "X-Delay": "1h" }),
    await post("f", "x".repeat(300_000), { "X-Terminal": ESCAPES }),
  ];
});

afterAll(async () => {
  await gateway.close();
  await provider.close();
  await folder.remove();
});

async function post(path: string, body: string, headers: Record<string, string>): Promise<string> {
  const answer = await fetch(`${gateway.url}/async-function/${path}`, { method: "POST", body, headers });
  expect(answer.status).toBe(202);
  return answer.headers.get("location")?.split("/").at(-1) as string;
}

const ask = (path: string, headers: Record<string, string> = { authorization }) =>
  fetch(`${gateway.url}/system/queue/${path}`, { headers });
const list = async (query = ""): Promise<CallList> => decodeCallList(await (await ask(`calls?${query}`)).json());
const show = async (id: string): Promise<CallDetails> =>
  decodeCallDetails(await (await ask(`call?${new URLSearchParams({ id })}`)).json());
const cli = (args: string[], screen = false) =>
  runHere(args, {
    cwd: folder.path,
    screen,
    env: {
      OPENFAAS_URL: gateway.url.replace("//", `//${credentials.user}:${encodeURIComponent(credentials.password)}@`),
    },
  });

test("takes the password, and no other methods", async () => {
  for (const path of ["calls", `call?id=${ids[0]}`, `call/body?id=${ids[0]}`]) {
    expect((await ask(path, {})).status).toBe(401);
    const wrong = await fetch(`${gateway.url}/system/queue/${path}`, { method: "PUT", headers: { authorization } });
    expect(wrong.status).toBe(405);
  }
});

test("lists what waits without anything of what was sent but its size", async () => {
  const answer = await ask("calls");
  expect(answer.headers.get("cache-control")).toBe("no-store");
  const text = await answer.text();
  expect(text).not.toMatch(/s3cret|receiver|hello|path|plain/);
  const { items } = decodeCallList(JSON.parse(text));
  expect(items.map(({ id, callId, function: name, bodyBytes }) => [id, callId, name, bodyBytes])).toEqual([
    [ids[0], "mine", "f", 5],
    [ids[1], ids[1], "g", 5],
    [ids[2], ids[2], "f", 300_000],
  ]);
  expect(items[1]?.nextAttemptAt).toMatch(/^\d{4}-/);
});

test("filters and pages", async () => {
  const idsOf = async (query: string) => (await list(query)).items.map(({ id }) => id);
  expect(await idsOf("function=f")).toEqual([ids[0], ids[2]]);
  expect(await idsOf("function=f.openfaas-fn&state=waiting&queue=faas-request")).toEqual([ids[0], ids[2]]);
  expect(await idsOf("function=f&namespace=dev")).toEqual([]);
  expect(await idsOf("function=nobody")).toEqual([]);
  expect(await idsOf("state=running")).toEqual([]);
  expect(await idsOf("queue=other")).toEqual([]);
  const first = await list("limit=1");
  const second = await list(`limit=1&after=${first.next}`);
  expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(ids.slice(0, 2));
});

test.each([
  ["calls?limit=0", /^limit: must be a whole number from 1 to 1000/],
  ["calls?limit=1001", /^limit:/],
  ["calls?limit=ten", /^limit:/],
  ["calls?after=nonsense", /^after: must be the end of an earlier page/],
  ["calls?after=-1", /^after:/],
  ["calls?state=done", /^state: must be waiting or running/],
  ["calls?queue=UPPER", /^queue: must be up to 63/],
  ["calls?namespace=dev", /^namespace: needs function/],
  ["calls?function=a/b", /^function: must be name or name\.namespace/],
  ["calls?functoin=f", /^functoin: is unknown/],
  ["call", /^id: must name the call/],
  ["call?id=a&limit=1", /^limit: is unknown/],
  ["call/body?id=a&limit=0", /^limit: must be a whole number of bytes from 1 to 16777216/],
  ["call/body?id=a&limit=99999999", /^limit:/],
])("%s is refused, and the text names why", async (path, text) => {
  const answer = await ask(path);
  expect([answer.status, await answer.text()]).toEqual([400, expect.stringMatching(text)]);
});

test("shows what was sent in a call, but no secrets", async () => {
  const answer = await ask(`call?id=${ids[0]}`);
  const text = await answer.text();
  expect(text).not.toMatch(/s3cret|t0p|hello/);
  const { request, ...status } = decodeCallDetails(JSON.parse(text));
  expect(status).toMatchObject({ id: ids[0], callId: "mine", state: "waiting", attempts: 0 });
  expect(request).toMatchObject({
    method: "POST",
    path: "/sub/path",
    query: "page=2&token=[redacted]",
    callbackUrl: "http://[redacted]@receiver/hook?key=[redacted]",
    bodyBytes: 5,
  });
  const headers = new Map(request?.headers.map(([name, value]) => [name.toLowerCase(), value]));
  expect([headers.get("x-plain"), headers.get("authorization"), headers.get("cookie")]).toEqual([
    "plain",
    "[redacted]",
    "[redacted]",
  ]);
  expect((await show("mine")).id).toBe(ids[0]);
});

test("gives the body as bytes that no browser takes for a page, up to a limit", async () => {
  const whole = await ask(`call/body?id=${ids[0]}`);
  expect([whole.status, await whole.text()]).toEqual([200, "hello"]);
  expect(Object.fromEntries(whole.headers)).toMatchObject({
    "content-type": "application/octet-stream",
    "content-disposition": 'attachment; filename="body"',
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "x-faaslane-body-bytes": "5",
  });
  const cut = await ask(`call/body?id=${ids[2]}&limit=1000`);
  expect([(await cut.text()).length, cut.headers.get("x-faaslane-body-bytes")]).toEqual([1000, "300000"]);
});

test("a call that has ended is shown without its request; one that nobody knows is 404", async () => {
  const id = await post("f", "gone", { "X-Call-Id": "gone" });
  expect((await show(id)).request).toBeDefined();
  await fetch(`${gateway.url}/async-function/${id}`, { method: "DELETE" });
  const ended = await show(id);
  expect([ended.state, ended.request]).toEqual(["cancelled", undefined]);
  const body = await ask(`call/body?id=${id}`);
  expect([body.status, body.headers.get(ERROR_HEADER)]).toEqual([404, "no_request"]);
  for (const path of ["call?id=nobody", "call/body?id=nobody", "call?id=__proto__"]) {
    const unknown = await ask(path);
    expect([unknown.status, unknown.headers.get(ERROR_HEADER)]).toEqual([404, "unknown_call"]);
  }
});

test("the command line lists, shows and saves", async () => {
  const listed = await cli(["queue", "list", "f", "--limit", "1"]);
  expect(listed).toMatchObject({ code: 0, stderr: "" });
  expect(listed.stdout).toMatch(/^ID +FUNCTION +QUEUE +STATE +ATTEMPTS +ACCEPTED +NEXT ATTEMPT +BODY +CALL ID\n/);
  expect(listed.stdout).toContain(`${ids[0]}  f.openfaas-fn  faas-request  waiting  0 `);
  expect(listed.stdout).toMatch(/ 5 +mine\nThere are more; --limit shows them\.\n$/);
  expect(JSON.parse((await cli(["queue", "list", "-j"])).stdout)).toHaveLength(3);
  const shown = await cli(["queue", "show", "mine"]);
  expect(shown.stdout).toMatch(/^Request: +POST \/sub\/path\?page=2&token=\[redacted\]$/m);
  expect(shown.stdout).toMatch(/^ {2}authorization: +\[redacted\]$/im);
  expect(shown.stdout).not.toMatch(/s3cret|t0p|hello/);
  expect(await cli(["queue", "show", "mine", "--body"])).toEqual({ code: 0, stdout: "hello", stderr: "" });
  expect((await cli(["queue", "show", "nobody"])).stderr).toContain('no call "nobody" is known');
  expect((await cli(["queue", "list", "f", "--state", "done"])).code).toBe(1);
});

test("call ids of odd characters are found", async () => {
  for (const callId of [ODD, "..", ".", "%2e%2e/", "?id=x&", "#", "+ +"]) {
    const sent = Buffer.from(callId).toString("latin1");
    const id = await post("g", "odd", { "X-Call-Id": sent, "X-Delay": "1h" });
    const [known] = (await list("function=g")).items.filter((call) => call.id === id);
    expect((await show(known?.callId ?? "")).id).toBe(id);
    const shown = await cli(["queue", "show", "-j", "--", known?.callId ?? ""]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ id });
  }
});

test("a terminal is given nothing that it would act on", async () => {
  const id = await post("f", `\u001b[31mred${ESCAPES}`, { "X-Terminal": ESCAPES, "X-Call-Id": `name${ESCAPES}` });
  for (const args of [
    ["list", "f"],
    ["list", "f", "-j"],
    ["show", id],
    ["show", id, "-j"],
    ["show", id, "--body"],
  ]) {
    const { code, stdout, stderr } = await cli(["queue", ...args], true);
    expect([code, stderr]).toEqual([0, ""]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    expect(stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
  }
  expect((await cli(["queue", "show", id, "--body"], true)).stdout).toContain("\\x1b[31mred\\x9b31m");
  expect((await cli(["queue", "show", id, "--body"])).stdout).toContain("\u001b[31mred");
});

test("a call that waits is cancelled by any of its names, once and for all", async () => {
  const id = await post("g", "never", { "X-Call-Id": "unwanted", "X-Delay": "1h" });
  const cancel = (name: string) =>
    fetch(`${gateway.url}/system/queue/call?id=${name}`, { method: "DELETE", headers: { authorization } });
  const answer = await cancel("unwanted");
  expect([answer.status, answer.headers.get("x-call-id")]).toEqual([202, "unwanted"]);
  await eventually("it is over", async () => (await show(id)).state === "cancelled");
  const nobody = await cancel("nobody");
  expect([nobody.status, nobody.headers.get("x-faaslane-error")]).toEqual([404, "unknown_call"]);
});
