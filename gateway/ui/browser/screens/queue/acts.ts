import { type Act, command, option, withQuery } from "../../act.ts";

/** Which dead letters are shown, as the address says. */
export interface LetterFilter {
  /** `name` or `name.namespace`. */
  readonly function: string;
  readonly since: string;
  readonly until: string;
}

export type LetterAct = "replay" | "drop";

const LETTERS = "/system/queue/dead-letters";
const METHODS = { replay: "POST", drop: "DELETE" } as const;
const WORDS = { replay: "Replay", drop: "Drop" } as const;
const EFFECTS = {
  replay: "The function runs again with the same request, from its first attempt on. What it did before is not undone.",
  drop: "The request and the reason are forgotten, and it cannot be replayed. The function is not called.",
} as const;
const EFFECTS_OF_MANY = {
  replay:
    "The functions run again with the same requests, from their first attempts on. What they did before is not undone.",
  drop: "The requests and the reasons are forgotten, and cannot be replayed. No function is called.",
} as const;

/** Of one dead letter. */
export function letterAct(what: LetterAct, id: string): Act {
  return {
    title: what === "replay" ? "Replay the call" : "Drop the dead letter",
    action: WORDS[what],
    isDangerous: what === "drop",
    effect: EFFECTS[what],
    cli: command("faaslane", "queue", "dead-letters", what, "--id", id),
    request: { method: METHODS[what], path: withQuery(LETTERS, { id }) },
  };
}

/** Of several, one after another; the request is the first one's. */
export function selectedAct(what: LetterAct, ids: readonly string[]): Act {
  const first = letterAct(what, ids[0] ?? "");
  return {
    ...first,
    title: `${WORDS[what]} ${letters(ids.length)}`,
    effect: EFFECTS_OF_MANY[what],
    cli: ids.map((id) => letterAct(what, id).cli).join("\n"),
  };
}

/**
 * Of all that match.
 * @param count how many there were; `more` when there are more than were counted
 * @param until RFC 3339, when they were counted: what has died since is not meant
 */
export function matchingAct(
  what: LetterAct,
  filter: LetterFilter,
  { count, more, until }: { readonly count: number; readonly more: boolean; readonly until: string },
): Act {
  const { function: name, since } = filter;
  const before = filter.until === "" ? until : filter.until;
  const [bare, namespace] = splitName(name);
  return {
    title: `${WORDS[what]} ${more ? "more than " : ""}${letters(count)}`,
    action: `${WORDS[what]} all`,
    isDangerous: what === "drop",
    effect: `${EFFECTS_OF_MANY[what]} Calls that fail for good from now on are not meant.`,
    cli: command(
      ...["faaslane", "queue", "dead-letters", what, bare === "" ? undefined : bare],
      ...[...option("-n", namespace), ...option("--since", since), ...option("--until", before)],
    ),
    request: { method: METHODS[what], path: withQuery(LETTERS, { function: name, since, until: before }) },
  };
}

/** Of one call that has not ended. */
export function cancelAct(id: string): Act {
  return {
    title: "Cancel the call",
    action: "Cancel the call",
    isDangerous: true,
    effect: "It is not tried again, and its callback is not called. A function that runs it already is not stopped.",
    cli: command("faaslane", "queue", "cancel", id),
    request: { method: "DELETE", path: withQuery("/system/queue/call", { id }) },
  };
}

/** Of all calls of a function that wait. @param name `name` or `name.namespace` */
export function purgeAct(name: string): Act {
  const [bare, namespace] = splitName(name);
  return {
    title: `Cancel what waits for ${name}`,
    action: "Cancel all",
    isDangerous: true,
    effect: "None of the calls that wait for it now runs any more. Those that run go on, dead letters stay.",
    cli: command("faaslane", "queue", "purge", bare, ...option("-n", namespace)),
    request: { method: "DELETE", path: withQuery("/system/queue", { function: name }) },
  };
}

/** Of a call that has ended and had a callback. */
export function callbackAct(id: string): Act {
  return {
    title: "Send the callback again",
    action: "Send",
    effect: "The callback gets the result that is kept of the call. The function does not run again.",
    cli: command("faaslane", "queue", "callback", id),
    request: { method: "POST", path: withQuery("/system/queue/call/callback", { id }) },
  };
}

function letters(count: number): string {
  return count === 1 ? "1 dead letter" : `${count} dead letters`;
}

/** @param given `name` or `name.namespace` */
export function splitName(given: string): readonly [name: string, namespace: string | undefined] {
  const [name = "", namespace] = given.split(".");
  return [name, namespace];
}
