import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { moduleUrl } from "../../kit/module-url.ts";
import type { EvaluatorAnswer, EvaluatorRequest } from "./protocol.ts";

export interface EvaluatorOptions {
  /** Of its heap. */
  readonly memoryMb: number;
  /** It is ready for its first request. */
  readonly onReady: () => void;
  readonly onAnswer: (answer: Exclude<EvaluatorAnswer, { kind: "ready" }>) => void;
  /** It has ended, by itself or because it was asked to. Told once. */
  readonly onEnd: () => void;
}

/**
 * A process that evaluates expressions. A thread would not do: when its heap is full in the middle of one large
 * allocation, V8 ends the whole process, whatever the thread's limits are.
 */
export class Evaluator {
  readonly #child: ChildProcess;
  readonly #onEnd: () => void;
  #ended = false;

  constructor({ memoryMb, onReady, onAnswer, onEnd }: EvaluatorOptions) {
    this.#onEnd = onEnd;
    const child = fork(fileURLToPath(moduleUrl("./child-main", import.meta.url)), [], {
      // Nothing of ours: neither secrets nor options for Node.
      env: {},
      cwd: "/",
      execArgv: [
        `--max-old-space-size=${memoryMb}`,
        "--max-semi-space-size=4",
        "--permission",
        "--allow-fs-read=*",
        "--allow-worker",
        "--disable-proto=delete",
        "--disallow-code-generation-from-strings",
        "--disable-warning=ExperimentalWarning",
      ],
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#child = child;
    child.on("message", (message) => {
      const answer = message as EvaluatorAnswer;
      if (this.#ended) return;
      if (answer.kind === "ready") onReady();
      else onAnswer(answer);
    });
    // Could not be started, or its channel broke: either way it is of no use any more.
    child.on("error", () => this.end());
    child.on("exit", () => this.end());
    this.rest();
  }

  ask(request: EvaluatorRequest): void {
    this.#child.ref();
    this.#child.channel?.ref();
    this.#child.send(request, (error) => {
      if (error) this.end();
    });
  }

  /** Does not keep this process from ending. */
  rest(): void {
    this.#child.unref();
    this.#child.channel?.unref();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.rest();
    this.#child.kill("SIGKILL");
    this.#onEnd();
  }
}
