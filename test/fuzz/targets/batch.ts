import { eventually } from "../../support/eventually.ts";
import type { Dice } from "../dice.ts";
import { mutateBytes } from "../mutate-bytes.ts";
import { mutateJson } from "../mutate-json.ts";
import type { PlatformUnderFuzz } from "../platform-under-fuzz.ts";
import type { FuzzTarget } from "../target.ts";

const BODIES = ['{"a":1}\n{"a":2}\n', '"text"\n\nnull\r\n[1,2,{"b":[]}]\n', "1\n2\n3"].map((text) => Buffer.from(text));

function body(dice: Dice): Buffer {
  switch (dice.below(4)) {
    case 0:
      return Buffer.from(
        Array.from({ length: dice.size(40) }, () => mutateJson([{ a: [1, "b", null] }], dice)).join("\n"),
      );
    case 1: {
      // Much of one thing.
      const unit = dice.pick(["\n", "[", "{}\n", '{"a":', '"', "\\u0000", "1\n", "[1,", "\r\n"]);
      return Buffer.alloc(dice.size(8 * 1024 ** 2), unit);
    }
    default:
      return mutateBytes(BODIES, dice);
  }
}

/** Batches of asynchronous calls. */
export function batchTarget({ platform, authorization }: PlatformUnderFuzz): FuzzTarget {
  return {
    name: "batch",
    lanes: 4,
    prepare(dice) {
      const input = body(dice);
      const headers = { "x-batch": "true", "content-type": "application/x-ndjson" };
      return {
        input,
        async run() {
          const url = `${platform.url}/async-function/plain`;
          const answer = await fetch(url, { method: "POST", headers, body: new Uint8Array(input) });
          const text = await answer.text();
          if (![202, 400, 413, 429].includes(answer.status)) throw new Error(`${answer.status} ${text}`);
        },
      };
    },
    async close() {
      const isIdle = async () => {
        const queue = await fetch(`${platform.url}/system/queue`, { headers: { authorization } });
        const { waiting, inFlight } = (await queue.json()) as { waiting: number; inFlight: number };
        return waiting + inFlight === 0;
      };
      await eventually("nothing waits and nothing runs", isIdle, 120_000, 200);
    },
  };
}
