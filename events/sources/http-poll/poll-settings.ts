import { z } from "zod";
import { atMost, maybe } from "../../../contract/decode.ts";
import { parseGoDuration } from "../../../contract/duration.ts";
import { type SecretRef, secretRef } from "../../../contract/events/secret-ref.ts";
import { choice, lineOf, serverUrl, wholeNumber } from "../../../contract/events/server-settings.ts";

const MAX_HEADERS = 20;
const MIN_INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 24 * 3600_000;
const DEFAULT_MAX_BYTES = 1024 ** 2;
const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
const PATH = /^[^.\s]+(\.[^.\s]+)*$/;
/** These are the connection's, or the source's own. */
const NOT_TO_BE_SET: ReadonlySet<string> = new Set([
  ...["host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "keep-alive", "expect", "trailer"],
  ...["if-none-match", "if-modified-since", "accept-encoding"],
]);

const path = lineOf("the path of a field, such as data.items").regex(PATH, {
  error: "must be a path such as data.items",
});
const secretHeader = z.strictObject({
  secret: z.string(),
  key: maybe(z.string()),
  prefix: maybe(lineOf("a text", 64)),
});

/** A header's value, or the secret that has it and what stands before that, e.g. `Bearer `. */
export type PolledHeader = string | (SecretRef & { readonly prefix?: string | undefined });

const header = z
  .union([lineOf("a header's value", 4_096), secretHeader], {
    error: "must be a text, or { secret: NAME, prefix: TEXT }",
  })
  .superRefine((value, context) => {
    if (typeof value === "string") return;
    const { prefix: _, ...ref } = value;
    const { error } = secretRef.safeParse(ref);
    for (const issue of error?.issues ?? [])
      context.addIssue({ code: "custom", path: issue.path, message: issue.message });
  });

const declared = z.strictObject({
  url: serverUrl("https", "http"),
  interval: maybe(z.string()),
  headers: maybe(
    atMost(
      MAX_HEADERS,
      z.record(
        z.string().refine((name) => HEADER.test(name) && !NOT_TO_BE_SET.has(name.toLowerCase()), {
          error: "must be the name of a header that may be set",
        }),
        header,
      ),
    ),
  ),
  /** Where the list is; the answer as a whole is looked at when absent. `.` is the answer itself. */
  items: maybe(z.union([z.literal("."), path])),
  id: maybe(path),
  version: maybe(path),
  order: maybe(choice("oldest-first", "newest-first")),
  since: maybe(z.strictObject({ query: lineOf("a query parameter", 64), item: path })),
  initial: maybe(choice("emit", "skip")),
  maxBytes: maybe(wholeNumber(1, 16 * 1024 ** 2)),
  topic: maybe(lineOf("a topic")),
});

export interface ItemSettings {
  /** Names of members, one in another; none for the answer itself. */
  readonly list: readonly string[];
  readonly id: readonly string[];
  /** What tells a changed item from the one that was seen. */
  readonly version: readonly string[] | undefined;
  readonly newestFirst: boolean;
  /** Sent is the field of the newest item that was seen. */
  readonly since: { readonly query: string; readonly item: readonly string[] } | undefined;
}

export interface PollSettings {
  readonly url: string;
  readonly intervalMs: number;
  readonly headers: readonly (readonly [name: string, value: PolledHeader])[];
  readonly items: ItemSettings | undefined;
  /** What is there at first is nothing new. */
  readonly skipFirst: boolean;
  readonly maxBytes: number;
  readonly topic: string | undefined;
}

const parts = (text: string): readonly string[] => (text === "." ? [] : text.split("."));

export const pollSettings = declared.transform((given, context): PollSettings => {
  const { url, headers = {}, items, id, version, order, since, initial, maxBytes = DEFAULT_MAX_BYTES, topic } = given;
  const refuse = (field: string, message: string) => {
    context.addIssue({ code: "custom", path: [field], message });
    return z.NEVER;
  };
  const intervalMs = parseGoDuration(given.interval ?? "1m");
  if (intervalMs === undefined || intervalMs < MIN_INTERVAL_MS || intervalMs > MAX_INTERVAL_MS) {
    return refuse("interval", "must be a duration such as 30s, from 1s to 24h");
  }
  if (items !== undefined && id === undefined)
    return refuse("id", "is required with items: the field that names an item");
  if (items === undefined) {
    const stray = Object.entries({ id, version, order, since }).find(([, value]) => value !== undefined);
    if (stray) return refuse(stray[0], "is for answers with items");
  }
  return {
    url,
    intervalMs,
    headers: Object.entries(headers),
    items:
      items === undefined
        ? undefined
        : {
            list: parts(items),
            id: parts(id ?? ""),
            version: version === undefined ? undefined : parts(version),
            newestFirst: order === "newest-first",
            since: since && { query: since.query, item: parts(since.item) },
          },
    skipFirst: initial === "skip",
    maxBytes,
    topic,
  };
});
