import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, ROOT, temporaryFolder } from "../support/platform.ts";
import { parseResponse, rawRequest } from "../support/raw-http.ts";
import { readRecording, testWith } from "../support/recordings.ts";

interface Probe {
  readonly case: string;
  readonly request: string;
  readonly response: { readonly head: string; readonly body: string };
}

/** Where we answer otherwise, on purpose: our status, and why. */
const DIFFERENT: Readonly<Record<string, readonly [status: number, why: string]>> = {
  "encoded percent": [200, "the raw path is forwarded; the original drops the connection"],
  "function slower than the upstream timeout": [504, "a timeout says that it is one, with text"],
  "length and chunked": [400, "a body with two lengths is how requests are smuggled (RFC 9112 §6.1)"],
  "bare LF": [400, "lenient line ends are how requests are smuggled (RFC 9112 §2.2)"],
  "method CONNECT": [405, "a refused tunnel is no call, so it has no call id"],
  "no host": [400, "Node answers by itself, without a body"],
  "scale to 0": [404, "the case before deleted the function, which the original had not finished"],
  "async known": [202, "the original had no queue when it was recorded"],
  "async GET": [404, "GET asks for a call by its id, and no call is named like the function"],
  "create, existing": [409, "a name that is taken is a conflict"],
  "scale unknown": [404, "a function that does not exist is not a server error"],
  "secret without name": [400, "what the client left out is the client's error"],
  "logs without name": [422, "what the client left out is the client's error"],
  "logs bad tail": [422, "the provider's own status is passed on"],
  "logs bad since": [422, "the provider's own status is passed on"],
  ui: [401, "the recorded gateway had authentication off"],
};

/** Cases of later parts of the platform. */
const LATER: Readonly<Record<string, string>> = {
  "alert, empty": "alerts belong to autoscaling",
  "alert, firing": "alerts belong to autoscaling",
};

/** Differences in what the function receives. */
const SEEN_OTHERWISE: Readonly<Record<string, { readonly requestURI?: string; readonly why: string }>> = {
  "encoded slash": { requestURI: "/a%2Fb", why: "the raw path is forwarded" },
  "encoded question mark": { requestURI: "/a%3Fb", why: "the raw path is forwarded" },
};

/** Headers that the gateway adds or owns, compared by tests of their own. */
const GATEWAY_HEADERS = /^(Accept-Encoding|User-Agent|X-Call-Id|X-Start-Time|X-Forwarded-For|Expect|X-Secret)$/;

const recording = readRecording("gateway-probes.json");
const probes = recording === undefined ? [] : (JSON.parse(recording) as Probe[]);

describe("what the original gateway answers", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;

  beforeAll(async () => {
    if (recording === undefined) return;
    folder = await temporaryFolder();
    platform = await Platform.start({
      dataDir: folder.path,
      env: { upstream_timeout: "3s", allowed_hosts: "gw.test" },
    });
    await buildImage(platform, "docker.io/local/reflect:1", {
      "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./reflect.mjs" } }),
      "reflect.mjs": readFileSync(join(ROOT, "test/support/reflect.mjs"), "utf8"),
    });
    const deployed = await platform.control("/system/functions", {
      method: "POST",
      body: JSON.stringify({ service: "reflect", image: "docker.io/local/reflect:1" }),
    });
    expect(deployed.status).toBe(202);
    await eventually("reflect answers", async () => (await fetch(`${platform.url}/function/reflect`)).status === 200);
  });

  afterAll(async () => {
    await platform?.stop();
    await folder?.remove();
  });

  /** The request as recorded, whole: long header values were cut from the recording, and it needed no login. */
  async function rebuild({ request }: Probe): Promise<string> {
    const cut = /^([\s\S]*X-Large: a+)….*\((\d+) bytes\)$/.exec(request);
    const whole = cut ? `${(cut[1] as string).padEnd(Number(cut[2]) - 4, "a")}\r\n\r\n` : request;
    if (!/^\w+ \/system\//.test(whole)) return whole;
    return whole.replace("\r\n", `\r\nAuthorization: ${await platform.authorization()}\r\n`);
  }

  for (const probe of probes) {
    const later = LATER[probe.case];
    if (later !== undefined) {
      process.stderr.write(`skipped: ${probe.case}: ${later}\n`);
      continue;
    }
    testWith(recording)(probe.case, async () => {
      const theirs = parseResponse(`${probe.response.head}\r\n\r\n${probe.response.body}`);
      // The recording holds the interim answer as the head.
      const expected = probe.case === "expect 100-continue" ? parseResponse(probe.response.body) : theirs;
      const ours = await rawRequest(platform.port, await rebuild(probe));
      expect({ status: ours?.status, body: ours?.body.slice(0, 500) }).toMatchObject({
        status: DIFFERENT[probe.case]?.[0] ?? expected.status,
      });
      if (!ours || DIFFERENT[probe.case]) return;

      for (const name of [
        "location",
        "x-multi",
        "set-cookie",
        "x-call-id",
        "x-start-time",
        "x-served-by",
        "www-authenticate",
      ]) {
        const [mine, recorded] = [ours.headers.get(name), expected.headers.get(name)];
        if (recorded?.some((value) => /[</]/.test(value) && name.startsWith("x-")))
          expect([name, mine]).not.toEqual([name, undefined]);
        else if (recorded) expect([name, mine]).toEqual([name, recorded]);
      }
      const type = expected.headers.get("content-type")?.[0];
      if (type && ours.body !== "") expect(ours.headers.get("content-type")?.[0]?.toLowerCase()).toBe(type);

      // The recorded function had printed nothing; ours runs in a watchdog, which says that it has started.
      if (probe.case === "logs") return;
      if (expected.body.startsWith('{"body":')) compareSeen(probe, ours.body, expected.body);
      else if (expected.status < 300 && !expected.body.startsWith("[{") && !expected.body.startsWith('{"')) {
        expect(ours.body).toBe(expected.body);
      } else if (expected.body !== "") {
        expect(ours.body).not.toBe("");
      }
    });
  }

  testWith(recording)("the recording has the cases that the contract rests on", () => {
    expect(probes.length).toBeGreaterThan(110);
    const known = new Set(probes.map((probe) => probe.case));
    for (const name of [...Object.keys(DIFFERENT), ...Object.keys(LATER), ...Object.keys(SEEN_OTHERWISE)]) {
      expect([name, known.has(name)]).toEqual([name, true]);
    }
  });
});

interface Seen {
  readonly method: string;
  readonly requestURI: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

/** What the function received: method, path, body and the caller's own headers. */
function compareSeen(probe: Probe, ourBody: string, theirBody: string): void {
  // A long header was cut from the recording, which is no JSON then.
  if (probe.case === "large header") {
    expect(ourBody.length).toBeGreaterThan(60_000);
    return;
  }
  const mine = JSON.parse(ourBody) as Seen;
  const theirs = JSON.parse(theirBody) as Seen;
  expect({ method: mine.method, requestURI: mine.requestURI, body: mine.body }).toEqual({
    method: theirs.method,
    requestURI: SEEN_OTHERWISE[probe.case]?.requestURI ?? theirs.requestURI,
    body: theirs.body,
  });
  for (const [name, values] of Object.entries(theirs.headers)) {
    if (!GATEWAY_HEADERS.test(name) && name !== "Content-Length")
      expect([name, mine.headers[name]]).toEqual([name, values]);
  }
  expect(mine.headers["X-Call-Id"]).toHaveLength(1);
  expect(mine.headers["X-Start-Time"]).toEqual([expect.stringMatching(/^\d{19}$/)]);
  expect(mine.headers["User-Agent"]?.[0]).toMatch(/./);
}
