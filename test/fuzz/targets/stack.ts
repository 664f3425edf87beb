import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { ROOT } from "../../support/platform.ts";
import type { Dice } from "../dice.ts";
import { mutateBytes } from "../mutate-bytes.ts";
import type { Parsed } from "../parse-stack.ts";
import type { FuzzTarget } from "../target.ts";

const GIVE_UP_MS = 15_000;
/** Small files are parsed at once; the largest that is taken, of a mebibyte, in some 1.3 s. */
const allowedMs = (text: string) => 500 + text.length / 350;

const FILES = [
  readFileSync(join(ROOT, "stack.yml"), "utf8"),
  `provider: {name: openfaas}
functions:
  a: &a
    lang: node
    handler: ./a
    image: a:1
  b:
    <<: *a
    environment:
      A: \${A:-b}
      B: '1'
      C: |
        text
`,
  `version: 1.0
provider:
  name: openfaas
configuration:
  templates:
    - name: node
      source: https://example.com/a.git#v1
  copy: [a, b]
functions: {}
`,
  `provider: {name: openfaas, gateway: "http://127.0.0.1:8080"}
functions:
  f:
    image: "\${A}\${EMPTY:+x}"
    labels: {? a : "b"}
    limits: {memory: 128Mi, cpu: 100m}
    secrets: [a, b]
    readonly_root_filesystem: on
`,
].map((text) => Buffer.from(text));

function write(dice: Dice): Buffer {
  if (dice.chance(0.05))
    return Buffer.alloc(
      dice.size(2 * 1024 ** 2),
      dice.pick([
        "[",
        "{a: ",
        "- ",
        "&a [*a",
        "${A:-",
        "a: b\n",
        "? ",
        "\t",
        "#",
        "!!x ",
        "- - - -\n",
        "a",
        "'",
        "|\n",
      ]),
    );
  if (dice.chance(0.05)) {
    // Each mapping merges the one before it several times.
    const maps = Array.from(
      { length: dice.size(40) },
      (_, i) =>
        `m${i + 1}: &m${i + 1} {<<: [${Array.from({ length: dice.between(1, 9) }, () => `*m${i}`).join(", ")}]}`,
    );
    return Buffer.from(`m0: &m0 {a: b}\n${maps.join("\n")}\nprovider: {name: openfaas}\nfunctions: *m${maps.length}\n`);
  }
  return mutateBytes(FILES, dice, 256 * 1024);
}

/** Stack files, through the parser of the CLI: an error of the file's, and soon. */
export function openStackTarget(): FuzzTarget {
  const worker = new Worker(new URL("../parse-stack.ts", import.meta.url));

  async function parse(text: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<Parsed>();
    const timer = setTimeout(() => reject(new Error(`takes over ${GIVE_UP_MS} ms`)), GIVE_UP_MS);
    worker.once("message", resolve).once("error", reject);
    worker.postMessage(text);
    try {
      const { problem, cpuMs } = await promise;
      if (problem !== undefined) throw new Error(problem);
      if (cpuMs > allowedMs(text)) throw new Error(`takes ${cpuMs.toFixed(0)} ms`);
    } finally {
      clearTimeout(timer);
      worker.off("message", resolve).off("error", reject);
    }
  }

  return {
    name: "stack",
    lanes: 1,
    prepare(dice) {
      const input = write(dice);
      return {
        input,
        run: () => parse(input.toString()),
      };
    },
    async close() {
      await worker.terminate();
    },
  };
}
