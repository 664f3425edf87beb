import { expect, test } from "@jest/globals";
import { parseMoment, parseSpan } from "../../../contract/instants.ts";
import { readAsyncRequest, takeParameter } from "../../../gateway/async/intake/async-request.ts";
import { readQueueName } from "../../../gateway/async/intake/queue-name.ts";
import { parseCallPath } from "../../../gateway/core/call-path.ts";
import { readCallQuery } from "../../../gateway/core/call-query.ts";
import { parseCallbackUrl } from "../../../gateway/core/callback-url.ts";
import { readDeadLetterPage, readFunction } from "../../../gateway/core/dead-letter-query.ts";
import { parseFunctionPath } from "../../../gateway/core/function-path.ts";
import { parseRetryPolicy } from "../../../gateway/core/retry-policy.ts";
import { parseRetryAfter } from "../../../http/retry-after.ts";
import { ANY_TARGET, CallbackTargets } from "../../../kit/outbound/targets.ts";

/** What callers and functions send, at a size that no regular expression or list must be let loose on. */
const CHARS = 100_000;
const of = (text: string) => text.repeat(Math.ceil(CHARS / text.length));

const SHAPES = [
  ["digits", of("9")],
  ["units", of("1h")],
  ["fractions", of("1.1")],
  ["a fraction", `1.${of("1")}`],
  ["a date with a fraction", `2030-01-01T00:00:00.${of("1")}`],
  ["letters", of("a")],
  ["labels", of("a.")],
  ["blanks", of(" ")],
  ["blanks before something", `${of(" \t")}x`],
  ["commas", of("404,")],
  ["semicolons", of(";")],
  ["ampersands", of("a&")],
  ["the parameter again and again", of("delay=1&")],
  ["the parameter's name", of("delay")],
  ["the parameter's name before something", of("&delayx")],
  ["slashes", of("/")],
  ["dots and slashes", of("/..")],
  ["names and slashes", of("/a")],
  ["percent signs", of("%")],
  ["escapes", of("%41")],
  ["brackets", of("[")],
  ["colons", of("http://a:")],
  ["numbers of IPv6", `http://[${of("0:")}]/`],
  ["at signs", `http://${of("a@")}b/`],
] as const;

const targets = new CallbackTargets({ ...ANY_TARGET, deny: ["*.example.com"] });
const defaults = { attempts: 1, codes: [500], minWaitMs: 1, maxWaitMs: 2 };
const annotation = (name: string, text: string) =>
  parseRetryPolicy({ [`com.openfaas.retry.${name}`]: text }, defaults, (given) => parseSpan(given) ?? 0);

const READERS: readonly (readonly [name: string, read: (text: string) => unknown])[] = [
  ["durations", parseSpan],
  ["moments", parseMoment],
  ["Retry-After", (text) => parseRetryAfter(text, 0)],
  ["callback URLs", parseCallbackUrl],
  ["callback hosts", (text) => targets.judgeHost(text)],
  ["queries about calls", readCallQuery],
  ["waits", (text) => readCallQuery(`wait=${text}`)],
  ["paths of calls", (text) => parseCallPath(`/async-function/${text}`, "/async-function/")],
  ["paths of functions", (text) => parseFunctionPath(`/function/${text}`, "/function/")],
  ["paths below functions", (text) => parseFunctionPath(`/function/f/${text}`, "/function/")],
  ["queries of calls", (text) => takeParameter(text, "delay")],
  ["call ids", (text) => readAsyncRequest({ "x-call-id": text }, "", 0)],
  ["keys", (text) => readAsyncRequest({ "x-idempotency-key": text }, "", 0)],
  ["delays", (text) => readAsyncRequest({ "x-delay": text }, "", 0)],
  ["delays in queries", (text) => readAsyncRequest({}, `delay=${text}`, 0)],
  ["expiries", (text) => readAsyncRequest({ "x-not-after": text }, "", 0)],
  ["types of batches", (text) => readAsyncRequest({ "x-batch": "true", "content-type": text }, "", 0)],
  ["names of functions", (text) => readFunction({ function: text }, "openfaas-fn")],
  ["pages", (text) => readDeadLetterPage({ limit: text }, "openfaas-fn", 0)],
  ["spans of dead letters", (text) => readDeadLetterPage({ since: text }, "openfaas-fn", 0)],
  ["names of queues", (text) => readQueueName({ "com.openfaas.queue": text }, "q")],
  ["numbers of retries", (text) => annotation("attempts", text)],
  ["codes of retries", (text) => annotation("codes", text)],
  ["waits between retries", (text) => annotation("max_wait", text)],
];

test.each(READERS)("%s of any shape are done with at once", (_name, read) => {
  const slow: string[] = [];
  for (const [shape, text] of SHAPES) {
    // The second time tells: a garbage collection may come upon one, and code is compiled.
    const ms = Math.min(
      cpuMs(() => read(text)),
      cpuMs(() => read(text)),
    );
    if (ms > 10) slow.push(`${shape}: ${ms.toFixed(1)} ms`);
  }
  expect(slow).toEqual([]);
});

function cpuMs(work: () => unknown): number {
  const before = process.cpuUsage();
  try {
    work();
  } catch (error) {
    expect(error).toMatchObject({ kind: "invalid" });
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
