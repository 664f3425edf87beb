import { z } from "zod";
import { FaasError } from "../../contract/errors.ts";
import { attributeText, type CloudEvent } from "../codec/cloud-event.ts";

const PLACE = /\{([a-z0-9]{1,64})\}/g;

/**
 * A name with places for attributes of an event, e.g. `orders.{type}`.
 * @param sound whether a name is one once it is complete
 */
export function nameTemplate(what: string, sound: (name: string) => boolean) {
  const rule = `must be ${what}, with {attribute} where an event's attribute is to stand`;
  return z
    .string({ error: rule })
    .min(1, { error: rule })
    .max(1_000, { error: rule })
    .refine((text) => !/[{}]/.test(text.replace(PLACE, "")) && sound(text.replace(PLACE, "a")), { error: rule });
}

/**
 * The name for an event.
 * @throws {FaasError} `invalid` when the event lacks an attribute, or its attributes make no name
 */
export function nameFor(
  template: string,
  { attributes }: CloudEvent,
  what: string,
  sound: (name: string) => boolean,
): string {
  const name = template.replace(PLACE, (_, attribute: string) => {
    const value = attributes[attribute];
    if (value === undefined) throw new FaasError("invalid", `the event has no ${attribute}, which ${what} is made of`);
    return attributeText(value);
  });
  if (sound(name)) return name;
  throw new FaasError(
    "invalid",
    `the event's attributes make ${JSON.stringify(name.slice(0, 100))}, which is not ${what}`,
  );
}
