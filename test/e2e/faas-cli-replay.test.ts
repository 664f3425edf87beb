import { afterAll, beforeAll, describe, expect } from "@jest/globals";
import { buildImage } from "../support/build-upload.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { readRecording, testWith } from "../support/recordings.ts";

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

/** Where we answer otherwise, on purpose. */
const DIFFERENT: Readonly<Record<string, { readonly status: number; readonly why: string }>> = {
  "logs of an unknown function": { status: 404, why: "a function that does not exist is not a server error" },
};

/** Fields whose values are of one time or one make. */
const VOLATILE: ReadonlySet<string> = new Set([
  "createdAt",
  "release",
  "sha",
  "arch",
  "provider",
  "orchestration",
  "commit_message",
]);

const recording = readRecording("faas-cli.json");
const steps = recording === undefined ? [] : (JSON.parse(recording) as Step[]);

/**
 * Every field of the recorded answer is in ours, with the same value unless it is volatile or empty there. Fields that
 * are ours alone are allowed: clients of this API ignore what they do not know.
 */
function expectFields(ours: unknown, theirs: unknown, path = "answer"): void {
  if (Array.isArray(theirs)) {
    expect({ path, isArray: Array.isArray(ours), length: (ours as unknown[]).length }).toEqual({
      path,
      isArray: true,
      length: theirs.length,
    });
    for (const [i, item] of theirs.entries()) expectFields((ours as unknown[])[i], item, `${path}[${i}]`);
  } else if (theirs !== null && typeof theirs === "object") {
    for (const [key, value] of Object.entries(theirs)) {
      const mine = (ours as Record<string, unknown>)?.[key];
      expect({ path: `${path}.${key}`, type: typeof mine }).toEqual({ path: `${path}.${key}`, type: typeof value });
      if (typeof value === "object" || !VOLATILE.has(key)) expectFields(mine, value, `${path}.${key}`);
      // What clients read without looking must not be empty.
      else expect({ path: `${path}.${key}`, value: mine }).not.toEqual({ path: `${path}.${key}`, value: "" });
    }
  } else {
    expect({ path, value: ours }).toEqual({ path, value: theirs });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

describe("what the original faas-cli sends, in its order", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;

  beforeAll(async () => {
    if (recording === undefined) return;
    folder = await temporaryFolder();
    platform = await Platform.start({ dataDir: folder.path });
    // What the recorded image did: it answered with the body it got.
    await buildImage(platform, "docker.io/local/fn-echo:1", {
      "faaslane.json": JSON.stringify({ env: { mode: "classic", fprocess: "cat" } }),
    });
  });

  afterAll(async () => {
    await platform?.stop();
    await folder?.remove();
  });

  async function send({ request }: Step): Promise<Response> {
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers)) {
      if (!/^(host|content-length|accept-encoding|authorization)$/.test(name)) headers.set(name, value);
    }
    const recorded = request.headers.authorization;
    if (recorded !== undefined || request.path.startsWith("/system/")) {
      headers.set("authorization", await platform.authorization());
    }
    return await fetch(platform.url + request.path, {
      method: request.method,
      headers,
      ...(request.body === "" ? {} : { body: request.body }),
    });
  }

  const names = new Map<string, number>();
  for (const [index, step] of steps.entries()) {
    const count = (names.get(step.step) ?? 0) + 1;
    names.set(step.step, count);
    const name = `${index + 1}. ${step.step} (${step.request.method})`;
    testWith(recording)(name, async () => {
      if (step.step === "login, wrong password") {
        const refused = await fetch(platform.url + step.request.path, { headers: { authorization: "Basic eDp5" } });
        expect([refused.status, refused.headers.get("www-authenticate"), await refused.text()]).toEqual([
          401,
          step.response.headers["www-authenticate"],
          step.response.body,
        ]);
        return;
      }
      const theirs = parseJson(step.response.body);
      if (step.response.body.includes("availableReplicas")) {
        await eventually("the replica is ready", async () =>
          (await send(step))
            .clone()
            .text()
            .then((t) => t.includes("availableReplicas")),
        );
      }
      const response = await send(step);
      const text = await response.text();
      expect({ status: response.status, text }).toMatchObject({
        status: DIFFERENT[step.step]?.status ?? step.response.status,
      });
      if (theirs !== undefined && step.response.headers["content-type"] === "application/json") {
        expect(response.headers.get("content-type")).toBe("application/json");
        expectFields(parseJson(text), theirs);
      } else if (step.request.path.startsWith("/system/logs")) {
        // Whether the replica has said something by now is a matter of time.
        const lines = text.split("\n").filter((line) => line !== "");
        for (const line of lines) expect(parseJson(line)).toMatchObject({ name: "plain", text: expect.any(String) });
      } else if (step.response.status < 300) {
        expect(text).toBe(step.response.body);
      } else if (step.response.body !== "") {
        expect(text).not.toBe("");
      }
      for (const header of ["x-call-id", "x-start-time", "x-served-by", "x-duration-seconds"]) {
        if (step.response.headers[header] !== undefined)
          expect([header, response.headers.get(header)]).not.toEqual([header, null]);
      }
    });
  }

  testWith(recording)("the recording has every step that the contract rests on", () => {
    expect(steps.length).toBeGreaterThan(30);
    for (const name of ["login", "version", "list", "describe", "invoke", "remove"]) expect(names.has(name)).toBe(true);
  });
});
