import { availableParallelism } from "node:os";

/** Suites that take minutes, as they wait for what takes minutes: they run when they are asked for. */
const LONG = ["test/conformance/", "test/e2e/", "test/hostile/", "test/long/", "test/operator/"];

/** Jest runs the TypeScript sources as native ES modules; swc only strips the types. */
export default {
  testEnvironment: "node",
  roots: ["<rootDir>/test"],
  testPathIgnorePatterns: [
    "/node_modules/",
    ...LONG.filter((folder) => !process.argv.some((argument) => argument.includes(folder))),
  ],
  testMatch: ["**/*.test.ts"],
  extensionsToTreatAsEsm: [".ts"],
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { parser: { syntax: "typescript" }, target: "es2024" }, module: { type: "es6" } },
    ],
  },
  reporters: ["default", "<rootDir>/test/support/hostile-reporter.mjs", "<rootDir>/test/support/skipped-reporter.mjs"],
  testSequencer: "<rootDir>/test/support/longest-first.mjs",
  globalSetup: "<rootDir>/test/support/global-setup.mjs",
  setupFiles: ["<rootDir>/test/support/keep-type-stripper.mjs"],
  testTimeout: 30_000,
  watchman: false,
  // Most tests wait for processes; a worker for each core but one, as Jest has it, would leave the cores idle.
  maxWorkers: 3 * availableParallelism(),
};
