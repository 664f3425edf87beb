import { afterEach, beforeEach, expect } from "@jest/globals";
import { testNeeding } from "../support/needing.ts";
import { noRecordings, readRecording } from "../support/recordings.ts";
import { StockGateway } from "../support/stock-gateway.ts";

/*
 * What faas-cli asked OpenFaaS's gateway, with faas-netes behind it, and what was answered: our gateway, in front of a
 * provider that is none of ours, answers the same.
 */

interface Step {
  readonly step: string;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
}

/** What the provider of the tests has no part of: other rules for deployments, and logs of functions that are not there. */
const ELSEWHERE = /^deploy (invalid|into)|^logs|^version|^deploy by flags/;

let gateway: StockGateway;

beforeEach(async () => {
  gateway = await StockGateway.open();
  gateway.provider.handler = (req, res) => {
    res.setHeader("content-type", req.headers["content-type"] ?? "text/plain");
    req.pipe(res);
  };
});

afterEach(async () => {
  await gateway.close();
});

const withoutTimes = (text: string) =>
  JSON.parse(text, (key, value) => (key === "createdAt" ? undefined : value)) as unknown;

async function answerOf({ method, path, headers, body }: Step["request"]): Promise<Response> {
  const { host: _host, "content-length": _length, "accept-encoding": _encoding, authorization, ...rest } = headers;
  const init = { method, headers: rest, ...(body !== "" && { body }) };
  const known = authorization === "Basic <credentials>";
  return known ? await gateway.control(path, init) : await fetch(gateway.gateway.url + path, init);
}

testNeeding(noRecordings)("each step of the recorded commands is answered as it was", async () => {
  const steps = JSON.parse(readRecording("faas-cli.json")) as Step[];
  let compared = 0;
  for (const { step, request, response } of steps) {
    if (ELSEWHERE.test(step) || step === "login, wrong password") continue;
    // Its one replica needs a moment, as it did then.
    if (step === "list") await gateway.whenAnswered("shout");
    const answer = await answerOf(request);
    const text = await answer.text();
    expect([step, answer.status, text]).toEqual([step, response.status, expect.any(String)]);
    if (answer.headers.get("content-type") === "application/json") {
      const counted = withoutTimes(text) as Record<string, unknown>[];
      if (Array.isArray(counted)) for (const fn of counted) delete fn.invocationCount;
      expect([step, counted]).toEqual([step, withoutTimes(response.body)]);
    } else if (answer.status === 200 || request.path.startsWith("/system/")) {
      expect([step, text.trim()]).toEqual([step, response.body.trim()]);
    }
    for (const name of Object.keys(response.headers).filter((each) => /^x-(call|start|duration)/.test(each))) {
      if (answer.status === 200)
        expect([step, name, answer.headers.get(name)]).toEqual([step, name, expect.any(String)]);
    }
    compared++;
  }
  expect(compared).toBeGreaterThan(20);
});
