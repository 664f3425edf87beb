import { z } from "zod";
import { atMost, decode, maybe } from "../decode.ts";
import { isDnsLabel } from "../names.ts";
import { DEFAULT_BROKER } from "./default-broker.ts";

const MAX_ATTRIBUTES = 50;
const MAX_VALUE_CHARS = 1_024;
const MAX_TYPE_CHARS = 40;
const EXTENSION = /^[a-z0-9]{1,20}$/;
/** What makes an event what it is comes from the outside. */
const CORE: ReadonlySet<string> = new Set([
  ...["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "topic"],
]);

const integer = z
  .int()
  .min(-(2 ** 31))
  .max(2 ** 31 - 1);
const attributes = atMost(
  MAX_ATTRIBUTES,
  z.record(
    z.string().refine((name) => EXTENSION.test(name) && !CORE.has(name), {
      error: "must be an extension's name: at most 20 of a-z and 0-9, none of CloudEvents' own",
    }),
    z.union([z.string().max(MAX_VALUE_CHARS), integer, z.boolean()], {
      error: `must be a text of at most ${MAX_VALUE_CHARS} characters, an integer, or true or false`,
    }),
  ),
);

export const sourceSpec = z.looseObject({
  type: z
    .string({ error: "is required: the kind of source, e.g. cron" })
    .min(1, { error: "is required: the kind of source, e.g. cron" })
    .max(MAX_TYPE_CHARS),
  broker: maybe(z.string().refine(isDnsLabel, { error: "must be the name of a broker" })),
  suspend: maybe(z.boolean({ error: "must be true or false" })),
  attributes: maybe(attributes),
  /** As Knative has it. */
  ceOverrides: maybe(z.strictObject({ extensions: maybe(attributes) })),
});

/** A source as it is declared. */
export interface SourceSpec {
  /** E.g. `kafka`. */
  readonly type: string;
  /** Where its events go, in its own namespace. */
  readonly broker: string;
  readonly suspend: boolean;
  /** Set in each of its events. */
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** What its type wants to know. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** @throws {FaasError} `invalid`, naming every field that is wrong and its rule; the type's own settings are not looked at */
export function decodeSourceSpec(value: unknown): SourceSpec {
  const { type, broker, suspend, attributes, ceOverrides, ...settings } = decode(sourceSpec, value, "source");
  return {
    type,
    broker: broker ?? DEFAULT_BROKER,
    suspend: suspend ?? false,
    attributes: { ...ceOverrides?.extensions, ...attributes },
    settings,
  };
}

/** As it is written, for whom {@link decodeSourceSpec} reads it again. */
export function encodeSourceSpec({ type, broker, suspend, attributes, settings }: SourceSpec): Record<string, unknown> {
  return {
    type,
    broker,
    ...(suspend && { suspend }),
    ...(Object.keys(attributes).length > 0 && { attributes }),
    ...settings,
  };
}
