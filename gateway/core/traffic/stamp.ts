import { qualifiedName } from "../../../contract/functions.ts";
import { isVersion, versionedName } from "../../../contract/versions/version-name.ts";

/**
 * Among the stored headers of a call it says for which version of its function the call was accepted. Workers that do not
 * know of it pass it on, and gateways then take it for a caller's wish.
 */
const STAMP = "X-Function-Version";
const STAMP_LOWER = STAMP.toLowerCase();
/** On the answer of a call whose version is gone: which one that was. */
export const DOWNGRADED_HEADER = "x-version-downgraded";

type Headers = readonly (readonly [name: string, value: string])[];

/** A stored call, as far as it says where it goes. */
export interface StampedCall {
  readonly function: string;
  readonly namespace: string;
  readonly headers: Headers;
}

/** @param version undefined for a call of whichever version has the calls when it is made; what its caller asked for is dropped */
export function stamped(headers: Headers, version: string | undefined): Headers {
  const others = headers.filter(([name]) => name.toLowerCase() !== STAMP_LOWER);
  return version === undefined ? others : [...others, [STAMP, version]];
}

/** The version that the call was accepted for; undefined for most, and for what is no call. */
export function stampOf({ headers }: Pick<StampedCall, "headers">): string | undefined {
  if (!Array.isArray(headers)) return undefined;
  for (const [name, value] of headers.filter(Array.isArray)) {
    if (typeof name !== "string" || name.length !== STAMP.length || name.toLowerCase() !== STAMP_LOWER) continue;
    return typeof value === "string" && isVersion(value) ? value : undefined;
  }
  return undefined;
}

/** Where the call goes, as URLs and tables write it. */
export function callTarget(call: StampedCall): string {
  const version = stampOf(call);
  const name = version === undefined ? call.function : versionedName(call.function, version);
  return qualifiedName({ name, namespace: call.namespace });
}
