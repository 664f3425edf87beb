import { describe } from "@jest/globals";
import { abortsContract } from "./caller/aborts.ts";
import { answersContract } from "./caller/answers.ts";
import { failuresContract } from "./caller/failures.ts";
import { CallerSetup, type OpenCallerOn } from "./caller/setup.ts";

export { storedCall, USER_AGENT } from "./caller/setup.ts";

/** What whoever makes stored calls promises: a queued call sees the same, whichever process drains the queue. */
export function functionCallerContract(name: string, open: OpenCallerOn): void {
  const suites = { answers: answersContract, failures: failuresContract, aborts: abortsContract };
  describe(`${name} as a caller of functions`, () => {
    const setup = CallerSetup.use(open);
    for (const [topic, suite] of Object.entries(suites)) describe(topic, () => suite(setup));
  });
}
