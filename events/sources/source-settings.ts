import { decode } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import type { SourceSpec } from "../../contract/events/source-spec.ts";
import type { SourceType } from "./source.ts";
import type { SourceTypes } from "./source-types.ts";

const PASSWORD_IN_URL = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#@\s]*:[^/?#@\s]*@/;

/**
 * Reads what a source's type wants to know.
 * @throws {FaasError} `invalid`, naming fields and rules, also for passwords that are no references to secrets
 */
export async function checkSettings(
  types: SourceTypes,
  { type, settings }: Pick<SourceSpec, "type" | "settings">,
): Promise<{ readonly type: SourceType; readonly settings: unknown }> {
  const found = await types.load(type);
  const open = passwordPlace(settings, "");
  if (open !== undefined) {
    throw new FaasError("invalid", `source: ${open}: has a password; it must be in a secret that is named beside it`);
  }
  return { type: found, settings: decode(found.settings, settings, "source") };
}

/** Where a URL with a password is. */
function passwordPlace(value: unknown, place: string): string | undefined {
  if (typeof value === "string") return PASSWORD_IN_URL.test(value) ? place : undefined;
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const found = passwordPlace(inner, place === "" ? key : `${place}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}
