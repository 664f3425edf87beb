import { ask } from "../ask.ts";
import { mutateBytes } from "../mutate-bytes.ts";
import type { PlatformUnderFuzz } from "../platform-under-fuzz.ts";
import type { FuzzTarget } from "../target.ts";

const LINES = [
  "a line\n",
  "\u001b[31mred\u001b[0m\n",
  '{"json":true}\n',
  "é\ud800\n",
  "no end",
  "2026-01-01T00:00:00Z stderr: x\n",
].map((text) => Buffer.from(text));
const QUERIES = [
  "name=noisy&follow=false",
  "name=noisy&tail=5&follow=false",
  "name=noisy&since=2026-01-01T00:00:00Z&follow=false",
  "name=noisy&instance=x&follow=false",
].map((text) => Buffer.from(text));

/** What functions write, and how it is asked for: each line of the answer is one JSON object. */
export function logsTarget({ platform, authorization }: PlatformUnderFuzz): FuzzTarget {
  return {
    name: "logs",
    lanes: 2,
    prepare(dice) {
      const input = mutateBytes(LINES, dice);
      const query = dice.chance(0.5) ? QUERIES[0] : mutateBytes(QUERIES, dice);
      return {
        input,
        async run() {
          await (
            await ask(`${platform.url}/function/noisy`, { method: "POST", body: new Uint8Array(input) })
          ).arrayBuffer();
          const asked = `${platform.url}/system/logs?tail=100&${String(query).replace(/[^\x21-\x7e]/g, encodeURIComponent.bind(undefined, "\u00e9"))}`;
          const stop = AbortSignal.timeout(2_000);
          const answer = await ask(asked, { headers: { authorization }, signal: stop });
          if (answer.status >= 500) throw new Error(`${answer.status} ${await answer.text()}`);
          if (answer.status !== 200) return void (await answer.arrayBuffer());
          // One that follows goes on until it is left.
          const text = await answer.text().catch((error: Error) => {
            if (error.name !== "TimeoutError") throw error;
            return "";
          });
          for (const line of text.split("\n").filter(Boolean)) JSON.parse(line);
        },
      };
    },
    async close() {},
  };
}
