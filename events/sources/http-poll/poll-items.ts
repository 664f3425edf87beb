import { createHash } from "node:crypto";
import { checkJsonBounds, MAX_JSON_DEPTH } from "../../../contract/bounded-json.ts";
import { FaasError } from "../../../contract/errors.ts";
import { splitElements, splitMembers } from "../../codec/json-members.ts";
import { decodeUtf8 } from "../../codec/percent.ts";
import type { ItemSettings } from "./poll-settings.ts";

const MAX_VALUES = 1_000_000;
const MAX_ITEMS = 4_000;
const MAX_ID_CHARS = 512;

/** An item of an answer. */
export interface PolledItem {
  /** With its version, where that counts. */
  readonly id: string;
  readonly subject: string;
  /** As it was written. */
  readonly text: string;
  readonly since: string | undefined;
}

/** The items of an answer, the oldest first. @throws {FaasError} `invalid`, saying what is not as it should be */
export function readItems(body: Buffer, { list, id, version, newestFirst, since }: ItemSettings): PolledItem[] {
  checkJsonBounds(body, { maxBytes: body.length, maxDepth: MAX_JSON_DEPTH, maxValues: MAX_VALUES }, "answer");
  const whole = decodeUtf8(body, "answer").replace(/^\uFEFF/, "");
  const found = rawField(whole, list);
  if (found === undefined) throw new FaasError("invalid", `answer: ${list.join(".")}: is missing`);
  const elements = splitElements(found, `answer: ${list.join(".") || "it"}`);
  if (elements.length > MAX_ITEMS) throw new FaasError("invalid", `answer: has more than ${MAX_ITEMS} items`);
  const items = elements.map((text, place) => {
    const subject = field(text, id);
    if (subject === undefined || subject === "") {
      throw new FaasError("invalid", `answer: item ${place} has no field ${id.join(".")}`);
    }
    const changed = version && field(text, version);
    return {
      id: changed === undefined ? subject : `${subject}/${changed}`,
      subject,
      text,
      since: since && field(text, since.item),
    };
  });
  return newestFirst ? items.reverse() : items;
}

/** What an id is remembered as. */
export function shortHash(id: string): string {
  return createHash("sha256").update(id).digest("base64url").slice(0, 12);
}

/** A text or number; undefined for anything else. Numbers stay as they are written, as some have more digits than ours. */
function field(text: string, path: readonly string[]): string | undefined {
  const raw = rawField(text, path);
  if (raw === undefined || raw === "null" || /^[[{]/.test(raw)) return undefined;
  const value = raw.startsWith('"') ? String(JSON.parse(raw)) : raw;
  return value.length <= MAX_ID_CHARS ? value : `sha256:${createHash("sha256").update(value).digest("hex")}`;
}

function rawField(text: string, path: readonly string[]): string | undefined {
  let raw: string | undefined = text;
  for (const name of path) {
    if (raw === undefined || !raw.trimStart().startsWith("{")) return undefined;
    raw = splitMembers(raw, "answer").get(name);
  }
  return raw;
}
