import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { descriptor, paxRecord, tarOf } from "../../provider/tar-fixture.ts";
import { eventually } from "../../support/eventually.ts";
import { carryOut } from "../../support/rough-connection.ts";
import type { Dice } from "../dice.ts";
import { mutateBytes } from "../mutate-bytes.ts";
import { mutateJson } from "../mutate-json.ts";
import { planFor } from "../plan.ts";
import type { PlatformUnderFuzz } from "../platform-under-fuzz.ts";
import type { FuzzTarget } from "../target.ts";

const ARCHIVES = [
  tarOf(descriptor({}), { name: "a", content: "x" }),
  tarOf(
    descriptor({ env: { mode: "classic", fprocess: "cat" } }),
    { name: "d/", type: "5" },
    { name: "d/e", content: "y".repeat(3000), mode: 0o755 },
  ),
  tarOf(
    descriptor({}),
    { name: "PaxHeader", type: "x", content: paxRecord("path", "long") },
    { name: "a", content: "x" },
  ),
  tarOf(descriptor({}), { name: `${"long/".repeat(30)}f`, content: "x" }, { name: "l", type: "2", linkName: "a" }),
];

const CONFIGS = [{ image: "fuzzed:1" }, { image: "fuzzed:1", buildArgs: { A: "1" }, platforms: ["linux/amd64"] }];
const BOUNDARY = "fuzz";

function upload(archive: Buffer, config: string): Buffer {
  const part = (disposition: string, content: Buffer) =>
    Buffer.concat([
      Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`),
      content,
      Buffer.from("\r\n"),
    ]);
  return Buffer.concat([
    part('name="context"; filename="c.tar"', archive),
    part('name="config"', Buffer.from(config)),
    Buffer.from(`--${BOUNDARY}--\r\n`),
  ]);
}

/** Archives and multipart bodies. */
function body(dice: Dice): Buffer {
  const plain = JSON.stringify(CONFIGS[0]);
  switch (dice.below(4)) {
    case 0: {
      const archive = mutateBytes(ARCHIVES, dice);
      return upload(dice.chance(0.3) ? gzipSync(archive) : archive, plain);
    }
    case 1:
      return upload(
        mutateBytes(
          ARCHIVES.map((archive) => gzipSync(archive)),
          dice,
        ),
        plain,
      );
    case 2:
      return upload(dice.pick(ARCHIVES), mutateJson(CONFIGS, dice));
    default:
      return mutateBytes(
        ARCHIVES.map((archive) => upload(gzipSync(archive), plain)),
        dice,
      );
  }
}

/** `POST /system/build`: what is unpacked stays in its folder, and nothing of it is left. */
export function buildTarget({ platform, authorization, dataDir }: PlatformUnderFuzz): FuzzTarget {
  return {
    name: "build",
    lanes: 4,
    prepare(dice) {
      const input = body(dice);
      const head = [
        "POST /system/build HTTP/1.1",
        `Host: 127.0.0.1:${platform.port}`,
        `Authorization: ${authorization}`,
        `Content-Type: multipart/form-data; boundary=${BOUNDARY}`,
        `Content-Length: ${input.length}`,
        "Connection: close",
      ];
      const port = dice.pick([platform.port, platform.providerPort]);
      const planned = planFor(Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), input]), dice);
      // Most are waited for: what comes of them is of interest.
      const plan = planned.end === "wait" ? { ...planned, deaf: false, waitMs: 10_000 } : planned;
      return {
        input,
        async run() {
          const answer = await carryOut(port, plan);
          const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 400);
          if (status >= 500) throw new Error(answer);
          if (plan.end === "wait" && status === 200 && !/"status":"(success|failed)"/.test(answer))
            throw new Error(answer);
        },
      };
    },
    async close() {
      await eventually("nothing unfinished is left", async () => {
        const left = await Promise.all(["builds", "uploads"].map((name) => readdir(join(dataDir, name))));
        return left.flat().length === 0;
      });
      const outside = await readdir(dirname(dataDir));
      if (outside.length !== 1) throw new Error(`outside of its folder there are: ${outside.join(", ")}`);
    },
  };
}
