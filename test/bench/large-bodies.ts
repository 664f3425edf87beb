import { eventually } from "../support/eventually.ts";
import { GIB, growthByLargeBodies, readLarge, sendLarge } from "../support/large-bodies.ts";
import { descendants, Platform } from "../support/platform.ts";
import { deployServer } from "../support/switching.ts";
import { addressOf } from "./whole-path.ts";

/** Megabytes. */
const MOST = 40;

/**
 * 1 GiB up and 1 GiB down, straight to a function's watchdog and through the gateway, with what each process grows by.
 * @returns whether each stays below its limit
 */
export async function benchLargeBodies(dataDir: string): Promise<boolean> {
  const platform = await Platform.start({ dataDir });
  try {
    await deployServer(platform, "st", "streaming-function.mjs");
    const through = `${platform.url}/function/st`;
    await eventually("the function answers", async () => (await fetch(through)).ok, 30_000, 100);
    const authorization = await platform.authorization();
    const direct = `http://${await addressOf(platform.url, "st", { authorization })}`;
    const replica = await descendants(platform.pid);
    console.log(`\n1 GiB up and 1 GiB down (aim: < ${MOST} MB of growth in each process)`);
    let rates: [number, number] | undefined;
    let kept = true;
    for (const [name, url] of Object.entries({ "straight to the watchdog": direct, "through the gateway": through })) {
      let [up, down] = [0, 0];
      const growth = await growthByLargeBodies([platform.pid, ...replica], async (bytes) => {
        up = await rateOf(() => sendLarge(url, bytes));
        down = await rateOf(() => readLarge(`${url}/large?bytes=${bytes}`));
      });
      rates ??= [up, down];
      const grown = [...growth.values()].map((bytes) => bytes / 1024 ** 2);
      kept &&= Math.max(...grown) < MOST;
      console.log(
        `  ${name.padEnd(26)}${up.toFixed(0).padStart(6)} MB/s up (${(up / rates[0]).toFixed(2)} × direct)` +
          `${down.toFixed(0).padStart(8)} MB/s down (${(down / rates[1]).toFixed(2)} × direct)` +
          `   platform ${grown[0]?.toFixed(0)} MB, replica ${Math.max(...grown.slice(1)).toFixed(0)} MB more`,
      );
    }
    return kept;
  } finally {
    await platform.stop();
  }
}

/** Megabytes a second of a gibibyte; of less it is of no interest. */
async function rateOf(run: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await run();
  return GIB / 1024 ** 2 / ((performance.now() - since) / 1000);
}
