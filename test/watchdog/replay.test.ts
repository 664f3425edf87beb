import { describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { parseResponse, type RawResponse, rawRequest } from "../support/raw-http.ts";
import { readRecording, testWith } from "../support/recordings.ts";
import { spawnWatchdog, startWatchdog, type TestWatchdog } from "./support/start-watchdog.ts";

/** One setting of one of OpenFaaS's watchdogs, and what it answered. */
interface Recording {
  readonly watchdog: "classic-watchdog" | "of-watchdog";
  readonly setup: string;
  readonly env: Readonly<Record<string, string>>;
  readonly answers: readonly Exchange[];
  readonly afterSigterm: { readonly endedByItself?: number };
  /** What it printed, times left out. */
  readonly log: string;
}

interface Exchange {
  readonly case: string;
  readonly request: string;
  readonly response: string;
}

/** Not there yet; the watchdog refuses to start in it. */
const LATER_MODE = "static";

/** Where we answer better than the original, and why. Key: setup, then case. */
const BETTER: Readonly<Record<string, { readonly reason: string; readonly check: (answer: RawResponse) => void }>> = {
  "cat/ready": {
    reason: "classic has no readiness of its own and forks the function for the probe; ours answers as in all modes",
    check: ({ status, body }) => expect([status, body]).toEqual([200, ""]),
  },
  "streaming, exec_timeout=1s, sleeps 3/post": {
    reason: "a call that was killed is no success: 504 while nothing has been sent, a cut connection after",
    check: ({ status }) => expect(status).toBe(504),
  },
};

/** Headers compared in no case, and why. */
const IGNORED_HEADERS = new Set([
  "date",
  "connection", // Node says that it keeps the connection
  "keep-alive", // and for how long
  "content-length", // bodies are compared; ours come in chunks where a part is sent at once
  "transfer-encoding",
  "trailer", // announced as the function does; the original drops them
]);

function comparableHeaders({ headers }: RawResponse): Record<string, readonly string[]> {
  const compared: Record<string, readonly string[]> = {};
  for (const [name, values] of headers) {
    if (IGNORED_HEADERS.has(name)) continue;
    compared[name] = values.map((value) =>
      name === "x-duration-seconds" ? value.replace(/^\d+\.\d{6}$/, "<seconds>") : value,
    );
  }
  return compared;
}

/** What differs on purpose in many answers. */
function adjustExpected(headers: Record<string, readonly string[]>, recording: Recording, exchange: Exchange): void {
  const killed = /Killed process|signal: killed/.test(exchange.response);
  // An answer we made says so, so that callers know it is safe to try again.
  if (killed || exchange.response.includes("executable file not found"))
    headers["x-openfaas-internal"] = ["of-watchdog"];
  // Tells providers where to ask for more than health.
  if (exchange.request.startsWith("GET /_/health ") && / 200 /.test(exchange.response.split("\r\n", 1)[0] ?? ""))
    headers["x-faaslane-ready-path"] = ["/_/ready"];
  // What the function sends without a type stays without: guessing one for another's content opens holes.
  if (recording.env.mode === "http" && exchange.case === "no content type") delete headers["content-type"];
}

/** Programs that print their environment do so in any order, and ours differs where the test's does. */
const PRINTS_ENV = (body: string) => body.includes("\nHttp_") || body.includes("fprocess=env\n");

function comparableBody(body: string): unknown {
  if (PRINTS_ENV(body))
    return body
      .split("\n")
      .filter((line) => line.startsWith("Http_"))
      .sort();
  if (body.startsWith('{"body"')) {
    // Ours keeps the length of a body, drops the connection's own headers, and asks for no compression of its own.
    const { contentLength, transferEncoding, headers, ...rest } = JSON.parse(body);
    const { "Accept-Encoding": _a, "User-Agent": _u, Connection: _c, "X-Secret": _s, ...passed } = headers;
    return { ...rest, headers: passed };
  }
  return body;
}

const text = readRecording("watchdog-probes.json");
const recordings: readonly Recording[] = text === undefined ? [] : JSON.parse(text);
const served = recordings.filter(
  ({ env, afterSigterm }) => env.mode !== LATER_MODE && afterSigterm.endedByItself === undefined,
);
const ended = recordings.filter(({ afterSigterm }) => afterSigterm.endedByItself !== undefined);

function settings({ watchdog, env }: Recording): Record<string, string> {
  const { upstream_url, ADDR: _addr, ...rest } = env;
  return {
    ...(watchdog === "classic-watchdog" ? { mode: "classic" } : {}),
    ...(upstream_url === undefined ? {} : { upstream_url: "http://127.0.0.1:0" }),
    ...rest,
  };
}

async function compare(watchdog: TestWatchdog, recording: Recording, exchange: Exchange): Promise<void> {
  const answer = await rawRequest(watchdog.port, exchange.request);
  expect(answer).toBeDefined();
  if (answer === undefined) return;
  const better = BETTER[`${recording.setup}/${exchange.case}`];
  if (better !== undefined) {
    better.check(answer);
    return;
  }
  const expected = parseResponse(exchange.response);
  const expectedHeaders = comparableHeaders(expected);
  adjustExpected(expectedHeaders, recording, exchange);
  expect(answer.status).toBe(expected.status);
  expect(comparableHeaders(answer)).toEqual(expectedHeaders);
  const ready = recording.env.ready_path === undefined;
  // With ready_path the original sends the function its own address as Host; we pass the probe's on.
  const body = ready ? expected.body : expected.body.replace("127.0.0.1:8082", "fn.test");
  expect(comparableBody(answer.body)).toEqual(comparableBody(body));
}

/** Lines about calls, without times and without what depends on the machine. */
function linesOfCalls(log: string): string[] {
  const lines = log.split("\n").map((line) => line.replace(/^(<time>|\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d) /, ""));
  return lines
    .filter((line) => /^(Forking|Wrote|Duration|Killing|stderr:|Query|Path|Success)/.test(line))
    .map((line) => line.replace(/Duration: \d+\.\d{6}s$/, "Duration: <seconds>"));
}

async function compareLog(watchdog: TestWatchdog, recording: Recording): Promise<void> {
  const ours = () =>
    linesOfCalls(watchdog.log).map((line) => (PRINTS_SIZE(recording) ? line.replace(/\d+/, "n") : line));
  // Theirs forks for a probe of readiness, and knows no more of it than of any other call.
  const theirs = linesOfCalls(recording.log).map((line) => (PRINTS_SIZE(recording) ? line.replace(/\d+/, "n") : line));
  const forProbes = recording.answers.some((exchange) => exchange.case === "ready") ? 2 : 0;
  await eventually("the log says the same", () => ours().length >= theirs.length - forProbes);
  expect(ours()).toEqual(theirs.slice(0, theirs.length - forProbes));
}

/** What prints its environment, or the request's headers, prints another's length. */
const PRINTS_SIZE = ({ env }: Recording) => env.fprocess === "env" || env.marshal_request !== undefined;

async function startUnready(recording: Recording): Promise<TestWatchdog> {
  const watchdog = spawnWatchdog(settings(recording));
  await watchdog.logged("listening on port");
  watchdog.port = Number(watchdog.log.match(/listening on port (\d+)/)?.[1]);
  return watchdog;
}

if (text === undefined) {
  testWith(text)("the recordings of OpenFaaS's watchdogs", () => {});
} else {
  describe.each(served.map((recording) => [`${recording.watchdog}, ${recording.setup}`, recording] as const))(
    "%s",
    (_name, recording) => {
      test("answers as recorded", async () => {
        const never = recording.setup === "http, child never listens";
        await using watchdog = never ? await startUnready(recording) : await startWatchdog(settings(recording));
        if (recording.setup.includes("max_inflight")) {
          const [exchange] = recording.answers as [Exchange];
          const first = rawRequest(watchdog.port, exchange.request);
          await eventually("the first runs", async () => /^http_requests_in_flight 1$/m.test(await watchdog.metrics()));
          await compare(watchdog, recording, exchange);
          expect((await first)?.status).toBe(200);
          return;
        }
        for (const exchange of recording.answers) await compare(watchdog, recording, exchange);
        if (recording.watchdog === "classic-watchdog") await compareLog(watchdog, recording);
      });
    },
  );

  describe.each(ended.map((recording) => [`${recording.watchdog}, ${recording.setup}`, recording] as const))(
    "%s",
    (_name, recording) => {
      test("ends by itself as recorded, with 1 where the original panics with 2", async () => {
        await using watchdog = spawnWatchdog(settings(recording));
        expect(await watchdog.ended).toEqual({ code: 1, signal: null });
      });
    },
  );
}
