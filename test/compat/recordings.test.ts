import { expect } from "@jest/globals";
import { CALL_ROWS } from "../conformance/call-rows.ts";
import { CLI_ROWS, COMMANDS } from "../conformance/cli-commands.ts";
import { CONTROL_ROWS } from "../conformance/control-rows.ts";
import { expectFacts, linesOfCalls, type Row } from "../conformance/facts.ts";
import { theirDeployment, theirSecret, theirService } from "../support/faas-netes.ts";
import { testNeeding } from "../support/needing.ts";
import { parseResponse, type RawResponse } from "../support/raw-http.ts";
import { noRecordings, readRecording } from "../support/recordings.ts";
import { CLI, type Differences, GATEWAY, WATCHDOG } from "./differences.ts";
import { expectSeries, GATEWAY_SERIES, WATCHDOG_SERIES } from "./series.ts";
import { SETTINGS } from "./watchdog-settings.ts";

/*
 * The facts of these tables are those of the original programs: what they answered, where it was recorded, has them
 * too, but for the differences that are listed, and each of those is one.
 */

const testRecorded = testNeeding(noRecordings);

/** Times, ids and ports are replaced in the recordings. */
const restored = (text: string) =>
  text
    .replaceAll("<unix-ns>", "1795220745525343116")
    .replaceAll("<uuid>", "3867ebd5-b896-4149-9fc3-cac7a510a7ba")
    .replaceAll("<port>", "40000")
    .replaceAll("<seconds>", "0.001841")
    .replaceAll("fn.test", "gw.test");

interface Recorded {
  readonly name: string;
  readonly requestLine: string;
  /** Undefined where the connection was closed without one. */
  readonly answer: RawResponse | undefined;
}

/** Compares row by row; the differences that are found have to be those that are listed. */
function compare(rows: readonly Row[], recorded: readonly Recorded[], listed: Differences): void {
  const found = new Map<string, string>();
  for (const { name, requestLine, answer } of recorded) {
    const row = rows.find(([each]) => each === name);
    expect([name, row?.[1].split(/\r?\n/)[0]]).toEqual([name, requestLine]);
    const { original } = listed[name] ?? {};
    if (typeof original === "number") expect([name, answer?.status]).toEqual([name, original]);
    try {
      expectFacts(answer, row as Row);
    } catch (error) {
      found.set(name, (error as Error).message);
    }
  }
  const unlisted = [...found].filter(([name]) => !(name in listed));
  const unfound = Object.keys(listed).filter((name) => !found.has(name));
  expect({ unlisted, unfound }).toEqual({ unlisted: [], unfound: [] });
}

interface Probe {
  readonly case: string;
  readonly request: string;
  readonly response: { readonly head: string; readonly body: string };
}

testRecorded("a gateway", () => {
  const probes = JSON.parse(readRecording("gateway-probes.json")) as Probe[];
  const recorded = probes.map(({ case: name, request, response: { head, body } }): Recorded => {
    const answer = head === "" ? undefined : parseResponse(restored(`${head}\r\n\r\n${body}`));
    return { name, requestLine: request.split(/\r?\n/)[0] as string, answer };
  });
  const plain = recorded.find(({ name }) => name === "plain GET") as Recorded;
  // Bodies that are cut in the recording are no JSON.
  const whole = recorded.filter(({ name }) => name !== "large header");
  compare([...CALL_ROWS, ...CONTROL_ROWS], [...whole, { ...plain, name: "address of the caller" }], GATEWAY);
});

interface Step {
  readonly step: string;
  readonly request: { readonly method: string; readonly path: string; readonly body: string };
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
}

/** Names of the recorded function and its image, as the table has them. */
const renamed = (text: string) => text.replaceAll("fn-echo", "greet").replaceAll("shout", "greet");

testRecorded("faas-cli", () => {
  const steps = JSON.parse(renamed(readRecording("faas-cli.json"))) as Step[];
  const recorded = steps.map(({ step, request, response }, index): Recorded => {
    const place = steps.slice(0, index).filter((each) => each.step === step).length;
    const headers = new Map(Object.entries(response.headers).map(([name, value]) => [name, [value]]));
    return {
      name: place === 0 ? step : `${step}, ${place + 1}`,
      requestLine: `${request.method} ${request.path} HTTP/1.1`,
      answer: { status: response.status, statusLine: "", headers, body: response.body },
    };
  });
  compare(CLI_ROWS, recorded, CLI);
  const bodies = COMMANDS.flatMap(({ asks }) => asks.map(({ sends = "" }) => sends));
  expect(steps.map(({ request: { body } }) => (body.startsWith("{") ? JSON.parse(body) : body))).toEqual(bodies);
});

interface Watched {
  readonly watchdog: "classic-watchdog" | "of-watchdog";
  readonly setup: string;
  readonly answers: readonly { readonly case: string; readonly request: string; readonly response: string }[];
  readonly afterSigterm: { readonly endedByItself?: number };
  readonly log: string;
}

testRecorded("the watchdogs", () => {
  const watched = JSON.parse(readRecording("watchdog-probes.json")) as Watched[];
  const nameOf = ({ watchdog, setup }: Watched) =>
    `${watchdog.replace("-watchdog", "")}, ${setup.replace("exec_timeout=1s, sleeps 3", "exec_timeout, sleeps")}`;
  expect(watched.map(nameOf).sort()).toEqual(SETTINGS.map(({ name }) => name).sort());

  const endings: Record<string, unknown> = {};
  const recorded: Recorded[] = [];
  for (const each of watched) {
    const setting = SETTINGS.find(({ name }) => name === nameOf(each));
    if (setting?.ends !== undefined) {
      const { endedByItself } = each.afterSigterm;
      if (endedByItself !== setting.ends) endings[setting.name] = endedByItself ?? "serves files";
      continue;
    }
    for (const { case: row, request, response } of each.answers) {
      const requestLine = request.split("\r\n")[0] as string;
      recorded.push({ name: `${nameOf(each)}: ${row}`, requestLine, answer: parseResponse(restored(response)) });
    }
    // The original forks for probes as well, which were the last.
    const lines = linesOfCalls(each.log).slice(0, setting?.log?.length);
    if (setting?.log) {
      expect(lines).toEqual(setting.log.map((line) => (typeof line === "string" ? line : expect.stringMatching(line))));
    }
  }
  const served = Object.entries(WATCHDOG).filter(([name]) => !SETTINGS.some((setting) => setting.name === name));
  compare(
    SETTINGS.flatMap(({ rows }) => rows),
    recorded,
    Object.fromEntries(served),
  );
  const notServed = Object.entries(WATCHDOG).filter(([name]) => SETTINGS.some((setting) => setting.name === name));
  expect(endings).toEqual(Object.fromEntries(notServed.map(([name, { original }]) => [name, original])));
});

testRecorded.each([
  ["metrics-gateway.txt", GATEWAY_SERIES],
  ["metrics-classic-watchdog.txt", WATCHDOG_SERIES],
  ["metrics-of-watchdog.txt", WATCHDOG_SERIES],
])("%s", (file, series) => {
  expectSeries(readRecording(file), series);
});

/** Without what is of one time, or of one cluster. */
function lasting(object: object): unknown {
  const volatile = /^(creationTimestamp|last\w+Time|resourceVersion|uid|message|clusterIPs?)$/;
  return JSON.parse(JSON.stringify(object, (key, value) => (volatile.test(key) ? undefined : value)));
}

testRecorded.each([
  ["k8s-shout-deployment.json", theirDeployment()],
  ["k8s-shout-service.json", theirService()],
  ["k8s-secret.json", theirSecret()],
])("%s", (file, object) => {
  expect(lasting(JSON.parse(readRecording(file)))).toEqual(lasting(object));
});
