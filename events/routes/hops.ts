import { FaasError } from "../../contract/errors.ts";
import type { CloudEvent } from "../codec/cloud-event.ts";

/** Extension by which brokers count how many replies may still follow. */
const HOPS = "knativebrokerttl";
const MAX_HOPS = 255;

/**
 * Takes the count of an event that comes from another broker; one that has none begins with {@link MAX_HOPS}.
 * @throws {FaasError} `invalid` when none is left, or it is no number
 */
export function takeHops(given: CloudEvent): { readonly event: CloudEvent; readonly hops: number } {
  const { [HOPS]: written, ...attributes } = given.attributes;
  if (written === undefined) return { event: given, hops: MAX_HOPS };
  const left = typeof written === "string" && !/^-?\d{1,10}$/.test(written) ? Number.NaN : Number(written);
  if (!Number.isInteger(left)) throw new FaasError("invalid", `${HOPS}: must be an integer`);
  if (left - 1 <= 0) throw new FaasError("invalid", `${HOPS}: the event has come through too many brokers`);
  return {
    event: { ...given, attributes: attributes as CloudEvent["attributes"] },
    hops: Math.min(left - 1, MAX_HOPS),
  };
}
