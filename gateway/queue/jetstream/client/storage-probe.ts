import { sleep } from "../../../../kit/sleep.ts";
import { API_ERRORS, isApiError, type Link } from "../../../nats/connection.ts";
import { isShort } from "../../../nats/ensure-stream.ts";

const PROBE = "FAASLANE_ROOM";
const TIMEOUT_MS = 15_000;
/** How exactly room is found. */
const STEP_BYTES = 1024 ** 2;
/** Another process may be trying, too, for some milliseconds; one that was killed leaves its stream. */
const OTHERS_TRIES = 40;
const OTHERS_MS = 50;
/** That count as one. */
const REFUSALS = 3;

/**
 * How much more a server lets a stream reserve. It tells nobody its limit, so this is found by trying; the stream that is
 * made for that is removed at once.
 * @returns bytes of one copy, up to `atMost`
 * @throws when it cannot be made or removed, which is tried with a small one first
 */
export async function findRoom(
  link: Link,
  { storage, replicas }: { readonly storage: "file" | "memory"; readonly replicas: number },
  atMost: number,
): Promise<number> {
  const fits = (bytes: number) =>
    tryOut(link, { name: PROBE, subjects: ["FAASLANE.room"], storage, num_replicas: replicas, max_bytes: bytes });
  if (!(await fits(1024))) return 0;
  if (await fits(atMost)) return atMost;
  let [least, most] = [0, atMost];
  while (most - least > STEP_BYTES) {
    const middle = Math.floor((least + most) / 2);
    if (await fits(middle)) least = middle;
    else most = middle;
  }
  return least;
}

async function tryOut(link: Link, config: object): Promise<boolean> {
  const remove = () => link.api(`STREAM.DELETE.${PROBE}`, undefined, TIMEOUT_MS);
  let refusals = 0;
  for (let tries = 0; ; tries++) {
    try {
      await link.api(`STREAM.CREATE.${PROBE}`, config, TIMEOUT_MS);
    } catch (error) {
      const short = isShort(error);
      const others = await isThere(link);
      // What another process tried out may just have gone.
      if (short && !others && ++refusals === REFUSALS) return false;
      if (!others && !short && !isApiError(error, API_ERRORS.streamNameInUse)) throw error;
      if (tries >= OTHERS_TRIES) {
        await remove();
        tries = 0;
      } else await sleep(OTHERS_MS * Math.random());
      continue;
    }
    await remove();
    return true;
  }
}

async function isThere(link: Link): Promise<boolean> {
  try {
    await link.api(`STREAM.INFO.${PROBE}`);
    return true;
  } catch (error) {
    if (isApiError(error, API_ERRORS.streamNotFound)) return false;
    throw error;
  }
}
