import { spawnSync } from "node:child_process";
import { describeNeeding, unlessRequired } from "./needing.ts";

export { type NatsOptions, NatsServer } from "./nats-server.ts";

const PROGRAM = "nats-server";

/** Why there are no tests with NATS here; undefined when there are. */
function missing(): string | undefined {
  const { error, status } = spawnSync(PROGRAM, ["--version"], { env: { PATH: `${process.env.PATH}:/usr/sbin` } });
  return error || status !== 0 ? `${PROGRAM} is not installed` : undefined;
}

/** Tests that need `nats-server`. Where it is not installed they are skipped, or fail when `REQUIRE_SERVICES=1`. */
export function describeWithNats(name: string, tests: () => void): void {
  describeNeeding(unlessRequired(missing()))(name, tests);
}
