import { signal } from "@preact/signals";
import type { UiSession } from "../../../../contract/ui/session.ts";
import { askJson } from "../api.ts";
import { attendFor } from "./attendance.ts";
import { heard, now, session } from "./session.ts";

/** Build of this page, as its script is named. */
const BUILD = new URL(import.meta.url).pathname.split("/").at(-1);

/** Whether the gateway has another page than this one. */
export const isOutdated = signal(false);

/** When the session ends, where that is soon: whatever is done, or unless something is done. */
export const endsSoon = signal<{ readonly at: number; readonly isLast: boolean } | undefined>(undefined);

const LOOK_MS = 1_000;
const ASK_MS = 60_000;
const WARN_MS = 120_000;
/** A short session is not warned of all the time. */
const WARN_PART = 1 / 4;

let askedAt = 0;
/** Longest that a session was seen to have left before it is idle for too long. */
let idleMs = 0;

/** Hears of the session and the page's build anew. */
export async function refresh(): Promise<void> {
  askedAt = Date.now();
  try {
    const said = await askJson<UiSession>("/ui/api/session");
    heard(said);
    isOutdated.value = said.build !== BUILD;
    look();
  } catch {
    // The gateway is away, which the banner tells.
  }
}

/** @returns stops to watch */
export function watchSession(): () => void {
  void refresh();
  const timer = setInterval(() => {
    look();
    const everyMs = Math.min(ASK_MS, Math.max(idleMs / 8, LOOK_MS));
    if (session.value?.state !== "signedOut" && Date.now() - askedAt >= everyMs) void refresh();
  }, LOOK_MS);
  // Who comes back to the page is to see how it is.
  const focused = () => void refresh();
  window.addEventListener("focus", focused);
  return () => {
    clearInterval(timer);
    window.removeEventListener("focus", focused);
  };
}

function look(): void {
  endsSoon.value = soonOf(session.value, now());
}

function soonOf(said: UiSession | undefined, at: number): typeof endsSoon.value {
  if (said?.state !== "signedIn" || said.endsAt === undefined || said.idleEndsAt === undefined) return undefined;
  idleMs = Math.max(idleMs, said.idleEndsAt - said.now);
  attendFor(idleMs);
  const warnMs = Math.min(WARN_MS, idleMs * WARN_PART);
  const isLast = said.idleEndsAt >= said.endsAt;
  const left = said.idleEndsAt - at;
  // The same object as long as it says the same.
  const before = endsSoon.value;
  if (left > warnMs) return undefined;
  return before?.at === said.idleEndsAt && before.isLast === isLast ? before : { at: said.idleEndsAt, isLast };
}
