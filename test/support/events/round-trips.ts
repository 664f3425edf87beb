import { randomBytes } from "node:crypto";
import type { CloudEvent } from "../../../events/codec/cloud-event.ts";
import type { OpenSink, SinkType } from "../../../events/sinks/sink.ts";
import { CallbackTargets } from "../../../kit/outbound/targets.ts";

const KIB = 1024;
let last = 0;

/** Events that bindings get wrong: with odd characters, types of all kinds, no data, empty data, and much of it. */
export const HARD_EVENTS: readonly (readonly [what: string, event: CloudEvent])[] = [
  ["text", event({ subject: "a/b" }, Buffer.from('{ "a" : 1.0 }'), "application/json")],
  ["odd characters", event({ subject: 'Euro € 😀 "q" 100%25', ext: "a,b;c=d" }, Buffer.from("x"), "text/plain")],
  ["bytes that are no text", event({}, Buffer.from([0, 0xff, 0xfe, 0x80, 0x0d, 0x0a, 0]), "application/octet-stream")],
  ["JSON that says so and is none", event({}, Buffer.from("{nope"), "application/json")],
  ["no data", event({ flag: "true" }, undefined, undefined)],
  ["64 KiB", event({}, randomBytes(64 * KIB), "application/octet-stream")],
  ["1 MiB", event({}, randomBytes(KIB * KIB), "application/octet-stream")],
  ["1 MiB of JSON", event({}, Buffer.from(JSON.stringify({ text: "ä".repeat(512 * KIB - 10) })), "application/json")],
];

function event(
  attributes: Record<string, string | undefined>,
  data: Buffer | undefined,
  type: string | undefined,
): CloudEvent {
  const given = Object.entries(attributes).filter(([name, value]) => value !== undefined && /^[a-z0-9]+$/.test(name));
  return {
    attributes: {
      specversion: "1.0",
      id: `hard-${++last}`,
      source: "/tests/hard",
      type: "hard.event",
      ...Object.fromEntries(given as [string, string][]),
      ...(type !== undefined && { datacontenttype: type }),
    },
    ...(data && { data }),
  };
}

/** Opens a sink as a platform does. */
export async function openSink<Settings>(
  type: SinkType<Settings>,
  settings: object,
  secrets: Readonly<Record<string, string>> = {},
): Promise<OpenSink> {
  return await type.open(type.settings.parse(settings), {
    namespace: "openfaas-fn",
    name: "out",
    secret: async (name) => secrets[name] as string,
    targets: new CallbackTargets({ private: true, allow: [], deny: [] }),
    now: Date.now,
  });
}
