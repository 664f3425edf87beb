import { relative } from "node:path";

const REASON = /\[skipped: (.*?)\](?: |$)/s;

/** At the end of a run: what was skipped and why. A test that is skipped without a reason fails the run. */
export default class SkippedReporter {
  #root;
  /** Tests that are left out by `-t` are not asked for. */
  #isWhole;
  #unexplained = [];

  constructor({ rootDir, testNamePattern }) {
    this.#root = rootDir;
    this.#isWhole = !testNamePattern;
  }

  onRunComplete(_contexts, { testResults }) {
    if (!this.#isWhole) return;
    const byReason = new Map();
    for (const { testFilePath, testResults: tests } of testResults) {
      const file = relative(this.#root, testFilePath);
      for (const { status, fullName } of tests) {
        if (status !== "pending" && status !== "todo" && status !== "disabled") continue;
        const reason = REASON.exec(fullName)?.[1];
        if (reason === undefined) this.#unexplained.push(`${file}: ${fullName}`);
        else {
          const files = byReason.get(reason) ?? new Map();
          byReason.set(reason, files.set(file, (files.get(file) ?? 0) + 1));
        }
      }
    }
    const lines = [...byReason].flatMap(([reason, files]) => [
      `  ${reason}`,
      ...[...files].map(([file, count]) => `    ${file}: ${count} ${count === 1 ? "test" : "tests"}`),
    ]);
    if (lines.length > 0) process.stderr.write(`\nSkipped:\n${lines.join("\n")}\n`);
    if (this.#unexplained.length > 0) {
      process.stderr.write(`\nSkipped without a reason:\n${this.#unexplained.map((name) => `  ${name}\n`).join("")}`);
    }
  }

  getLastError() {
    return this.#unexplained.length > 0 ? new Error("tests were skipped without a reason") : undefined;
  }
}
