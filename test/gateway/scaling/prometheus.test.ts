import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { queryPrometheus } from "../../../gateway/scaling/prometheus.ts";

let server: Server;
let respond: RequestListener;

beforeEach(async () => {
  server = createServer((req, res) => respond(req, res));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const url = (path = "/") => new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
const answer =
  (text: string, status = 200): RequestListener =>
  (_req, res) =>
    res.writeHead(status).end(text);
const result = (resultType: string, value: unknown) =>
  JSON.stringify({ status: "success", data: { resultType, result: value } });
const vector = (...values: string[]) =>
  result(
    "vector",
    values.map((value, i) => ({ metric: { i: `${i}` }, value: [1_700_000_000.5, value] })),
  );

async function bodyOf(req: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of req.setEncoding("utf8")) text += chunk as string;
  return text;
}

test("asks for the value now, whatever is in the expression", async () => {
  const expression = 'sum(x{a="b&c=ü"}) > 1 + 2';
  const { promise, resolve } = Promise.withResolvers<[string, string]>();
  respond = async (req, res) => {
    resolve([`${req.method} ${req.url}`, await bodyOf(req)]);
    res.end(vector("2"));
  };
  expect(await queryPrometheus(url("/prometheus/"), expression)).toBe(2);
  const [asked, body] = await promise;
  expect(asked).toBe("POST /prometheus/api/v1/query");
  expect(new URLSearchParams(body).get("query")).toBe(expression);
});

test.each<[what: string, text: string, value: number]>([
  ["a scalar", result("scalar", [1_700_000_000, "0.06"]), 0.06],
  ["a vector of one", vector("12.5"), 12.5],
  ["a vector, as its sum", vector("1", "2.5", "1e2"), 103.5],
  ["nothing at all", vector("0"), 0],
])("reads %s", async (_what, text, value) => {
  respond = answer(text);
  expect(await queryPrometheus(url(), "x")).toBe(value);
});

test.each<[what: string, text: string, status: number, message: RegExp]>([
  ["no value", vector(), 200, /^the query has no value now$/],
  ["not a number", vector("NaN"), 200, /^the query's value is NaN$/],
  ["infinity", vector("1", "+Inf"), 200, /^the query's value is /],
  [
    "a refusal",
    '{"status":"error","errorType":"bad_data","error":"parse error"}',
    400,
    /refused the query: parse error/,
  ],
  ["a matrix", result("matrix", []), 200, /is not a number/],
  ["HTML", "<html>Bad gateway</html>", 502, /is not JSON/],
  ["half of it", vector("1").slice(0, -5), 200, /is not JSON/],
  ["nothing", "", 200, /is not JSON/],
  ["another thing", '{"hello":1}', 200, /is not a number/],
  ["too much", `"${"x".repeat(2 * 1024 ** 2)}"`, 200, /is too large/],
])("%s is a failure that says so", async (_what, text, status, message) => {
  respond = answer(text, status);
  await expect(queryPrometheus(url(), "x")).rejects.toThrow(message);
});

test.each<[what: string, listener: RequestListener]>([
  ["says nothing", () => {}],
  ["stops in the middle", (_req, res) => res.write('{"status":')],
])(
  "a server that %s is given up after two seconds",
  async (_what, listener) => {
    respond = listener;
    const begun = Date.now();
    await expect(queryPrometheus(url(), "x")).rejects.toThrow();
    expect(Date.now() - begun).toBeGreaterThan(1_500);
    expect(Date.now() - begun).toBeLessThan(8_000);
  },
  10_000,
);

test("a server that hangs up, or is not there, is a failure", async () => {
  respond = (req) => req.socket.destroy();
  await expect(queryPrometheus(url(), "x")).rejects.toThrow();
  const gone = url();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await expect(queryPrometheus(gone, "x")).rejects.toThrow(/ECONNREFUSED/);
});
