/**
 * Whether a text matches a pattern as a whole; `*` stands for any characters, also for none. Takes time in proportion to the
 * product of both lengths at most, whatever the pattern.
 */
export function matchesGlob(text: string, pattern: string): boolean {
  let at = 0;
  let next = 0;
  let starAt = -1;
  let retryAt = 0;
  while (at < text.length) {
    if (pattern[next] === "*") {
      starAt = next;
      retryAt = at;
      next += 1;
    } else if (pattern[next] === text[at]) {
      at += 1;
      next += 1;
    } else if (starAt === -1) {
      return false;
    } else {
      // The last star takes one character more.
      retryAt += 1;
      at = retryAt;
      next = starAt + 1;
    }
  }
  while (pattern[next] === "*") next += 1;
  return next === pattern.length;
}
