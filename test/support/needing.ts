import { describe, test } from "@jest/globals";

type Skipping = typeof test.skip;

/**
 * `test`; where something is missing, its skipping form, with the reason in the names of the tests. The reporter prints
 * it at the end of the run, and fails the run for tests that are skipped without one.
 * @param missing why the tests cannot run here; undefined when they can
 */
export function testNeeding(missing: string | undefined): Skipping {
  return missing === undefined ? test : saying(missing, test.skip);
}

/** {@link testNeeding} for a whole `describe`. */
export function describeNeeding(missing: string | undefined): typeof describe.skip {
  return missing === undefined ? describe : saying(missing, describe.skip);
}

/**
 * Passes on why something is missing that machines which run all tests have to have.
 * @throws when there is a reason and `REQUIRE_SERVICES=1`
 */
export function unlessRequired(missing: string | undefined): string | undefined {
  if (missing === undefined || process.env.REQUIRE_SERVICES !== "1") return missing;
  throw new Error(`REQUIRE_SERVICES=1, but ${missing}`);
}

interface Declares {
  (name: string, body: () => void): void;
  readonly each: (rows: readonly unknown[]) => (name: string, body: () => void) => void;
}

function saying<T>(missing: string, skip: T): T {
  const { each } = skip as Declares;
  const said: Declares = Object.assign(
    (name: string, body: () => void) => (skip as Declares)(`${name} [skipped: ${missing}]`, body),
    {
      each: (rows: readonly unknown[]) => (name: string, body: () => void) =>
        each(rows)(`${name} [skipped: ${missing.replaceAll("%", "%%")}]`, body),
    },
  );
  return said as T;
}
