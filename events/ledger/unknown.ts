import { FaasError } from "../../contract/errors.ts";

/** Longer than any name. */
const QUOTED_CHARS = 80;
const quoted = (text: string) => JSON.stringify(text.slice(0, QUOTED_CHARS));

/** @param name its ref or id, as it was asked for */
export function unknownEvent(name: string): FaasError {
  return new FaasError("notFound", `no event ${quoted(name)} is known`, { code: "unknown_event" });
}

export function unknownReplay(name: string): FaasError {
  return new FaasError("notFound", `no replay ${quoted(name)} is known`, { code: "unknown_replay" });
}
