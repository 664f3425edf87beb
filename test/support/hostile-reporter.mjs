import { basename, dirname } from "node:path";

/** At the end of a run: how many classes of hostile input there are, by area, and how many of them did no harm. */
export default class HostileReporter {
  onRunComplete(_contexts, { testResults }) {
    const areas = testResults
      .filter(({ testFilePath }) => basename(dirname(testFilePath)) === "hostile")
      .map(({ testFilePath, testResults: rows, testExecError }) => ({
        name: basename(testFilePath, ".test.ts"),
        classes: rows.length,
        held: testExecError ? 0 : rows.filter(({ status }) => status === "passed").length,
      }))
      .sort((a, b) => a.name.localeCompare(b.name));
    if (areas.length === 0) return;
    const sum = (count) => areas.reduce((total, area) => total + area[count], 0);
    const lines = [...areas, { name: "all", classes: sum("classes"), held: sum("held") }].map(
      ({ name, classes, held }) =>
        `  ${name.padEnd(16)}${String(classes).padStart(5)} classes, ${held === classes ? "all held" : `${held} held`}`,
    );
    process.stderr.write(`\nHostile input:\n${lines.join("\n")}\n`);
  }
}
