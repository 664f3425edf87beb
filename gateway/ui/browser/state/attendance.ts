/** Somebody who has done nothing for so long is taken to be away; sooner where sessions are short. */
const AWAY_MS = 60_000;
const AWAY_PART = 1 / 4;

let awayMs = AWAY_MS;
let lastAt = Date.now();

for (const kind of ["pointerdown", "keydown", "wheel", "touchmove"]) {
  window.addEventListener(kind, attend, { capture: true, passive: true });
}

export function attend(): void {
  lastAt = Date.now();
}

/** @param idleMs for how long a session is kept that nobody uses */
export function attendFor(idleMs: number): void {
  awayMs = Math.min(AWAY_MS, idleMs * AWAY_PART);
}

/** Whether somebody uses the page; what it asks by itself is not to make a session longer. */
export function isAttended(): boolean {
  return Date.now() - lastAt < awayMs;
}
