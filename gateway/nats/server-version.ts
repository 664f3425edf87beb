/** What is used of JetStream began with it. */
export const OLDEST_NATS = "2.12";

/**
 * Why a server is too old for us.
 * @param version as it tells it: `2.15.1`, `2.14.0-RC.1`
 * @returns undefined for one that is not, and for what is no version: builds of somebody's own are not judged
 */
export function outdated(version: string): string | undefined {
  const found = parse(version);
  const needed = parse(OLDEST_NATS);
  if (!found || !needed) return undefined;
  const isOlder = found[0] < needed[0] || (found[0] === needed[0] && found[1] < needed[1]);
  return isOlder ? `it has version ${version}, and ${OLDEST_NATS} or newer is needed` : undefined;
}

function parse(version: string): readonly [major: number, minor: number] | undefined {
  const match = /^v?(\d{1,6})\.(\d{1,6})(?!\d)/.exec(version);
  return match ? [Number(match[1]), Number(match[2])] : undefined;
}
