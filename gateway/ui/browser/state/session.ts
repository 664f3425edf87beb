import { computed, signal } from "@preact/signals";
import type { UiSession } from "../../../../contract/ui/session.ts";

const KEPT = "faaslane-session";
/** When somebody has signed out last, for all tabs; and in each, what it knew of that. */
const OUT = "faaslane-signed-out";

/** What the gateway says of this page and its user; undefined until it has said it. */
export const session = signal<UiSession | undefined>(undefined);

/**
 * Of this tab alone: functions have the same origin as the page, but not its tabs. Where browsers cannot be told to forget pages of
 * functions from before, which they can with TLS or on the same machine, it is kept out of their reach, with the page's place in the
 * history.
 */
export const token = signal<string | undefined>(
  (window.isSecureContext ? sessionStorage.getItem(KEPT) : (window.history.state as Kept | null)?.[KEPT]) ?? undefined,
);

/** Whether a session has ended that was not signed out of: what is on the page stays, and waits. */
export const isOver = signal(false);

interface Kept {
  readonly [KEPT]?: string;
}

/** How far the gateway's clock is ahead of this machine's, in milliseconds. */
export const clockAhead = signal(0);

export const isReadOnly = computed(() => session.value?.readOnly ?? true);

/** By the gateway's clock. */
export function now(): number {
  return Date.now() + clockAhead.value;
}

export function heard(said: UiSession): void {
  clockAhead.value = said.now - Date.now();
  if (said.state !== "open" && !isSeen()) for (const clear of clears) clear();
  if (said.state === "signedIn") sessionStorage.setItem(OUT, localStorage.getItem(OUT) ?? "");
  if (said.token !== undefined) keep(said.token);
  if (said.state === "signedOut" && session.value?.state === "signedIn") isOver.value = true;
  if (said.state === "signedOut") keep(undefined);
  else isOver.value = false;
  session.value = said;
}

/** The session is over: the page asks to sign in again, and stays as it is. */
export function sessionOver(): void {
  if (session.value?.state === "signedIn") isOver.value = true;
  leave();
}

/** Somebody has signed out: nothing of the page stays, in no tab of this browser. */
export function signedOut(): void {
  forget();
  localStorage.setItem(OUT, String(Date.now()));
}

/** @param clear takes away what else is known, when somebody has signed out: in another tab, too, or while this one was put aside */
export function forgetWhenSignedOut(clear: () => void): void {
  clears.push(clear);
  window.addEventListener("storage", ({ key }) => {
    if (key === OUT && session.value?.state !== "open") forget();
  });
  window.addEventListener("pageshow", () => {
    if (session.value?.state === "signedIn" && !isSeen()) forget();
  });
}

const clears: (() => void)[] = [];

function forget(): void {
  isOver.value = false;
  leave();
  for (const clear of clears) clear();
}

/** Whether nobody has signed out since this tab has heard of a session. */
function isSeen(): boolean {
  return (localStorage.getItem(OUT) ?? "") === (sessionStorage.getItem(OUT) ?? "");
}

function leave(): void {
  keep(undefined);
  const { value } = session;
  if (value && value.state !== "open") session.value = { ...value, state: "signedOut" };
}

function keep(given: string | undefined): void {
  token.value = given;
  if (!window.isSecureContext) window.history.replaceState(given === undefined ? null : { [KEPT]: given }, "");
  else if (given === undefined) sessionStorage.removeItem(KEPT);
  else sessionStorage.setItem(KEPT, given);
}
