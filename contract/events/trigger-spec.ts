import { z } from "zod";
import { atMost, decode, maybe, stringMap } from "../decode.ts";
import { isDnsLabel } from "../names.ts";
import { deliverySpec, subscriberSpec } from "./delivery-spec.ts";

/** Deliveries of a trigger at a time, unless it says otherwise. */
export const DEFAULT_TRIGGER_CONCURRENCY = 20;
export const MAX_TRIGGER_CONCURRENCY = 1_000;
export const MAX_TRANSFORM_CHARS = 64 * 1024;

const MAX_FILTERS = 500;

export const ledgerWish = z.enum(["full", "meta", "off"], "must be full, meta or off");
/** In which order a trigger gets its events; in any when absent. */
export const deliveryOrder = z.enum(["partitionkey", "any"], "must be partitionkey or any");

/** Who wants which events of a broker: Knative's fields, and ours. */
export const triggerSpec = z.strictObject({
  broker: maybe(z.string().refine(isDnsLabel, "must be a DNS label: a-z, 0-9 and -")),
  /** As older triggers have it: attributes that are equal, or just there where the text is empty. */
  filter: maybe(z.strictObject({ attributes: maybe(atMost(100, stringMap)) })),
  /** Of all dialects; wins over `filter` unless it is empty. */
  filters: maybe(atMost(MAX_FILTERS, z.array(z.unknown()))),
  subscriber: subscriberSpec,
  delivery: maybe(deliverySpec),
  order: maybe(deliveryOrder),
  concurrency: maybe(
    z
      .number("must be a whole number")
      .int("must be a whole number")
      .min(1, "must be at least 1")
      .max(MAX_TRIGGER_CONCURRENCY, `must be at most ${MAX_TRIGGER_CONCURRENCY}`),
  ),
  /** What it matches waits. */
  suspend: maybe(z.boolean("must be true or false")),
  /** What is kept of events once they are delivered. */
  ledger: maybe(ledgerWish),
  /** JSONata, applied to the whole event before it is delivered. */
  transform: maybe(z.string().max(MAX_TRANSFORM_CHARS, `must be at most ${MAX_TRANSFORM_CHARS} characters`)),
  /** Of the function that gets the events: `v3`, or a tag. What has the function's calls when absent. */
  version: maybe(z.string().refine(isDnsLabel, "must be a version such as v3, or a tag")),
});
export type TriggerSpec = z.output<typeof triggerSpec>;

/** @throws {FaasError} `invalid`, naming every field that is wrong and its rule */
export function decodeTriggerSpec(value: unknown, what = "trigger"): TriggerSpec {
  return decode(triggerSpec, value, what);
}
