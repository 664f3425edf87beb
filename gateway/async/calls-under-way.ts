import type { AnswerCollector } from "./answer-collector.ts";
import type { Answer } from "./function-caller.ts";
import { SharedDeadline } from "./shared-deadline.ts";
import { Turn } from "./turn.ts";

/** The calls of one caller that have not ended yet, all of which have the same time. */
export class CallsUnderWay {
  /** Whose ends their answers are told with. */
  readonly turn = new Turn();
  readonly #deadline: SharedDeadline<AnswerCollector>;

  /** @param timeoutMs from the start of a call to the end of its answer, which then is 504 of the platform */
  constructor(timeoutMs: number) {
    this.#deadline = new SharedDeadline(timeoutMs, (collector) => collector.cut(504));
  }

  /**
   * Its time begins.
   * @param start begins the call
   */
  async run(collector: AnswerCollector, start: () => void): Promise<Answer> {
    this.#deadline.add(collector);
    try {
      start();
      return await collector.answer;
    } finally {
      this.#deadline.delete(collector);
    }
  }

  /** Cuts all of them. */
  close(): void {
    const left = [...this.#deadline.items()];
    this.#deadline.close();
    for (const collector of left) collector.cut(502);
  }
}
