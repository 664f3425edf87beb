import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { converse } from "../support/raw-http.ts";
import { readyAddress } from "../support/ready-address.ts";
import { RecordingFunction } from "../support/recording-function.ts";
import { FORMS, type Form } from "./smuggling-forms.ts";

/**
 * Requests made so that two readers may disagree where they end. Whatever is sent, the function sees one request with the
 * body that was meant, or none; what hides behind it is never one of its own.
 */
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: Platform;
let recording: RecordingFunction;

interface Door {
  readonly name: "gateway" | "provider" | "watchdog";
  /** What its paths start with. */
  readonly prefix: string;
  readonly port: number;
}
const doors: Door[] = [];

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await Platform.start({ dataDir: folder.path, env: { log_level: "info" } });
  recording = await RecordingFunction.open();
  await recording.deploy(platform, "rec");
  expect((await fetch(`${platform.url}/function/rec/first`)).status).toBe(200);
  const address = await readyAddress(platform, "rec");
  doors.push(
    { name: "gateway", prefix: "/function/rec", port: platform.port },
    { name: "provider", prefix: "/function/rec", port: platform.providerPort },
    { name: "watchdog", prefix: "", port: Number(address.split(":")[1]) },
  );
});

afterAll(async () => {
  await platform.stop();
  await recording.close();
  await folder.remove();
  expect(recording.garbage).toEqual([]);
  expect(recording.received.filter(({ target }) => target.startsWith("/hidden"))).toEqual([]);
});

/** What a refusal may be; a connection that is only closed counts as 400. */
const REFUSALS = [301, 400, 405, 408, 417, 431, 501, 505];

/** What a server of HTTP/2 says first: whoever has sent its preface gets no other answer. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the head of a frame
const SETTINGS_OF_HTTP2 = /^\x00\x00.\x04\x00\x00\x00\x00\x00/s;

let sent = 0;

/** Sends a form through a door and then calls as others would. @returns what came of it */
async function send(door: Door, { request }: Form) {
  const id = ++sent;
  const aim = {
    path: `${door.prefix}/form${id}`,
    hidden: `GET ${door.prefix}/hidden${id} HTTP/1.1\r\nHost: x\r\n\r\n`,
  };
  const last = `GET ${door.prefix}/last${id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  const before = recording.received.length;
  const { answers, rest } = await converse(door.port, Buffer.from(request(aim), "latin1"), last);
  const victim = await (await fetch(`http://127.0.0.1:${door.port}${door.prefix}/victim${id}`)).text();
  const seen = recording.received
    .slice(before)
    .map(({ target, body }) => ({ path: (target.split("?")[0] as string).replace("//", "/"), body }));
  const bodies = seen.filter(({ path }) => path === `/form${id}`).map(({ body }) => body);
  return {
    aim,
    bodies,
    status: answers[0]?.status ?? 400,
    // Answers that were not asked for, or that are another request's.
    astray: [...answers.slice(1), ...(rest === "" || SETTINGS_OF_HTTP2.test(rest) ? [] : [rest])].filter(
      (answer) => typeof answer === "string" || answer.body !== `/last${id}`,
    ),
    victim: victim === `/victim${id}`,
    others: seen.map(({ path }) => path).filter((path) => !/^\/(form|last|victim)\d+$/.test(path)),
  };
}

test.each(FORMS)("$name", async (form) => {
  for (const door of doors) {
    const { aim, bodies, status, ...after } = await send(door, form);
    expect({ door: door.name, ...after }).toEqual({ door: door.name, astray: [], victim: true, others: [] });
    const { body, refused } = form.expected(aim);
    const isRefused = bodies.length === 0 && REFUSALS.includes(status);
    // Who sends more than was announced may be cut off before the answer.
    const isOne = bodies.length === 1 && bodies[0] === body && [200, 400].includes(status);
    if (!isOne && !(refused && isRefused))
      expect({ door: door.name, status, bodies }).toEqual({ door: door.name, status: 200, bodies: [body] });
  }
});
