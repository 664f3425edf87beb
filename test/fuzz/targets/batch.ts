import { eventually } from "../../support/eventually.ts";
import { ask } from "../ask.ts";
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
      // Much of one thing. What is a line for each is accepted, and has to be run.
      const unit = dice.pick(["\n", "[", '{"a":', '"', "\\u0000", "[1,", "\r\n", "{}\n", "1\n"]);
      return Buffer.alloc(dice.size(/[}1]\n/.test(unit) ? 2 ** 10 : 2 ** 23), unit);
    }
    default:
      return mutateBytes(BODIES, dice);
  }
}

/** Batches of asynchronous calls. */
export function batchTarget({ platform, authorization }: PlatformUnderFuzz): FuzzTarget {
  async function idle(): Promise<void> {
    const isIdle = async () => {
      const queue = await ask(`${platform.url}/system/queue`, { headers: { authorization } });
      const { waiting, inFlight } = (await queue.json()) as { waiting: number; inFlight: number };
      return waiting + inFlight === 0;
    };
    await eventually("nothing waits and nothing runs", isIdle, 120_000, 50);
  }

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
          const answer = await ask(url, { method: "POST", headers, body: new Uint8Array(input) });
          const text = await answer.text();
          if (![202, 400, 413, 429].includes(answer.status)) throw new Error(`${answer.status} ${text}`);
        },
      };
    },
    // Calls are accepted faster than they are run.
    tidy: idle,
    close: idle,
  };
}
