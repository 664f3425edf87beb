import { z } from "zod";
import { decode, maybe } from "../decode.ts";

const listedResource = z.looseObject({
  name: z.string(),
  namespace: z.string(),
  /** As it was declared; absent of what a function's annotations say. */
  spec: maybe(z.record(z.string(), z.unknown())),
});
/** A broker, trigger, source, sink or flow as its route tells of it; each kind has more. */
export type ListedResource = z.output<typeof listedResource>;

/** @throws {FaasError} `invalid` */
export function decodeListedResource(value: unknown): ListedResource {
  return decode(listedResource, value, "resource");
}

/** @throws {FaasError} `invalid` */
export function decodeListedResources(value: unknown): ListedResource[] {
  return decode(z.array(listedResource), value, "resources");
}
