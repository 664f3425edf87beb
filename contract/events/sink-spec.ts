import { z } from "zod";
import { decode } from "../decode.ts";

const MAX_TYPE_CHARS = 40;
const rule = "is required: the kind of sink, e.g. webhook";

export const sinkSpec = z.looseObject({ type: z.string({ error: rule }).min(1, { error: rule }).max(MAX_TYPE_CHARS) });

/** A sink as it is declared. */
export interface SinkSpec {
  /** E.g. `kafka`. */
  readonly type: string;
  /** What its type wants to know. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** @throws {FaasError} `invalid`, naming every field that is wrong and its rule; the type's own settings are not looked at */
export function decodeSinkSpec(value: unknown): SinkSpec {
  const { type, ...settings } = decode(sinkSpec, value, "sink");
  return { type, settings };
}

/** As it is written, for whom {@link decodeSinkSpec} reads it again. */
export function encodeSinkSpec({ type, settings }: SinkSpec): Record<string, unknown> {
  return { type, ...settings };
}
