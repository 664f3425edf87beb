import { spawnSync } from "node:child_process";
import { describe } from "@jest/globals";

export { type NatsOptions, NatsServer } from "./nats-server.ts";

const PROGRAM = "nats-server";

/** Why there are no tests with NATS here; undefined when there are. */
function missing(): string | undefined {
  const { error, status } = spawnSync(PROGRAM, ["--version"], { env: { PATH: `${process.env.PATH}:/usr/sbin` } });
  return error || status !== 0 ? `${PROGRAM} is not installed` : undefined;
}

/** Tests that need `nats-server`. Where it is not installed they are skipped, or fail when `REQUIRE_SERVICES=1`. */
export function describeWithNats(name: string, tests: () => void): void {
  const why = missing();
  if (why === undefined) {
    describe(name, tests);
    return;
  }
  if (process.env.REQUIRE_SERVICES === "1") throw new Error(`REQUIRE_SERVICES=1, but ${why}`);
  process.stderr.write(`skipped: ${name}: ${why}\n`);
  describe.skip(name, tests);
}
