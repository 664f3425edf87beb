import { computed, signal } from "@preact/signals";
import type { UiSession } from "../../../../contract/ui/session.ts";

const KEPT = "faaslane-session";

/** What the gateway says of this page and its user; undefined until it has said it. */
export const session = signal<UiSession | undefined>(undefined);

/** Of this tab alone: functions have the same origin as the page, but not its tabs. */
export const token = signal<string | undefined>(sessionStorage.getItem(KEPT) ?? undefined);

/** How far the gateway's clock is ahead of this machine's, in milliseconds. */
export const clockAhead = signal(0);

export const isReadOnly = computed(() => session.value?.readOnly ?? true);

/** By the gateway's clock. */
export function now(): number {
  return Date.now() + clockAhead.value;
}

export function heard(said: UiSession): void {
  clockAhead.value = said.now - Date.now();
  if (said.token !== undefined) keep(said.token);
  session.value = said;
}

/** The session is over: the page asks to sign in again, and stays where it is. */
export function signedOut(): void {
  keep(undefined);
  const { value } = session;
  if (value && value.state !== "open") session.value = { ...value, state: "signedOut" };
}

function keep(given: string | undefined): void {
  token.value = given;
  if (given === undefined) sessionStorage.removeItem(KEPT);
  else sessionStorage.setItem(KEPT, given);
}
