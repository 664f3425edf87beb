import { z } from "zod";
import { decode, maybe } from "../decode.ts";
import { parseGoDuration } from "../duration.ts";
import { deliverySpec } from "./delivery-spec.ts";

/** Longest that an event can be kept, in milliseconds. */
const MAX_AGE_MS = 30 * 24 * 3600_000;
const MIN_AGE_MS = 1_000;
const MIN_BYTES = 64 * 1024;
const MAX_BYTES = 1024 ** 4;
const MAX_EVENTS = 1_000_000_000;
const UNIT_BYTES: Readonly<Record<string, number>> = { "": 1, Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3, Ti: 1024 ** 4 };
const SIZE = /^(\d{1,15})(Ki|Mi|Gi|Ti)?$/;

const age = z.string().transform((text, context) => {
  const ms = parseGoDuration(text);
  if (ms !== undefined && ms >= MIN_AGE_MS && ms <= MAX_AGE_MS) return ms;
  return fail(context, "must be a duration such as 24h, from 1s to 720h");
});

const size = z.string().transform((text, context) => {
  const [, digits, unit = ""] = SIZE.exec(text) ?? [];
  const bytes = Number(digits) * (UNIT_BYTES[unit] as number);
  if (bytes >= MIN_BYTES && bytes <= MAX_BYTES) return bytes;
  return fail(context, "must be a size such as 512Mi, from 64Ki to 1Ti");
});

function fail(context: z.RefinementCtx, message: string): typeof z.NEVER {
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

/** Who may send events: anybody who reaches the gateway, or those who log in. */
export const INGRESS_AUTHS = ["none", "basic"] as const;

export const brokerSpec = z.strictObject({
  /** How long an event is kept, in milliseconds, whatever has become of it. */
  maxAge: maybe(age),
  /** Of events and data, in bytes. */
  maxSize: maybe(size),
  maxEvents: maybe(z.number().int().min(1).max(MAX_EVENTS)),
  auth: maybe(z.enum(INGRESS_AUTHS)),
  /** What triggers have that say nothing else. */
  delivery: maybe(deliverySpec),
});
/** What is declared of a broker, as it is written; see {@link decodeBrokerSpec}. */
export type BrokerSpec = z.input<typeof brokerSpec>;
export type DecodedBrokerSpec = z.output<typeof brokerSpec>;

/** @throws {FaasError} `invalid`, naming the field and its rule */
export function decodeBrokerSpec(value: unknown): DecodedBrokerSpec {
  return decode(brokerSpec, value, "broker");
}
