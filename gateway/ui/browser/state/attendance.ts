/** Somebody who has done nothing for so long is taken to be away. */
const AWAY_MS = 60_000;

let lastAt = Date.now();

for (const kind of ["pointerdown", "keydown", "wheel", "touchmove"]) {
  window.addEventListener(kind, attend, { capture: true, passive: true });
}

export function attend(): void {
  lastAt = Date.now();
}

/** Whether somebody uses the page; what it asks by itself is not to make a session longer. */
export function isAttended(): boolean {
  return Date.now() - lastAt < AWAY_MS;
}
