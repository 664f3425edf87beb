import type { HookAnswer } from "./hooks.ts";

interface Asked {
  /** What was asked. */
  readonly key: string;
  readonly at: number;
  /** Undefined until the answer is there. */
  answer: { readonly why: HookAnswer } | undefined;
}

/** After a no the hook is asked again so often. */
const AGAIN_MS = 5_000;

/** The answers of one rollout's hook, so that nobody has to wait for one: the numbers are watched all the time. */
export class HookAnswers {
  #asked: Asked | undefined;

  /**
   * @param key of what is asked
   * @returns undefined while there is no answer; `why` not, where it says no
   */
  read(key: string, now: number, ask: () => Promise<HookAnswer>): { readonly why: HookAnswer } | undefined {
    const before = this.#asked?.key === key ? this.#asked : undefined;
    const isOld = before?.answer?.why !== undefined && now - before.at >= AGAIN_MS;
    if (before && !isOld) return before.answer;
    const asked: Asked = { key, at: now, answer: undefined };
    this.#asked = asked;
    ask().then(
      (why) => {
        asked.answer = { why };
      },
      () => {
        asked.answer = { why: "it could not be asked" };
      },
    );
    return undefined;
  }
}
