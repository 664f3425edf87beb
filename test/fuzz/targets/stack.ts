import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { ROOT } from "../../support/platform.ts";
import type { Dice } from "../dice.ts";
import { mutateBytes } from "../mutate-bytes.ts";
import type { FuzzTarget } from "../target.ts";

const MAX_MS = 1_000;

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
  let worker = new Worker(new URL("../parse-stack.ts", import.meta.url));

  async function parse(text: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const timer = setTimeout(() => resolve(`takes over ${MAX_MS} ms`), MAX_MS * 3);
    const failed = (error: Error) => resolve(`the parser ended: ${error.stack}`);
    worker.once("message", resolve).once("error", failed);
    const startedAt = performance.now();
    worker.postMessage(text);
    const problem = await promise;
    clearTimeout(timer);
    worker.off("message", resolve).off("error", failed);
    if (problem !== "") {
      await worker.terminate();
      worker = new Worker(new URL("../parse-stack.ts", import.meta.url));
    }
    const ms = performance.now() - startedAt;
    return problem === "" && ms > MAX_MS ? `takes ${ms.toFixed(0)} ms` : problem;
  }

  return {
    name: "stack",
    lanes: 1,
    prepare(dice) {
      const input = write(dice);
      return {
        input,
        async run() {
          const problem = await parse(input.toString());
          if (problem !== "") throw new Error(problem);
        },
      };
    },
    async close() {
      await worker.terminate();
    },
  };
}
