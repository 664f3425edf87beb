import { spawnSync } from "node:child_process";
import { outdated } from "../../gateway/nats/server-version.ts";
import { describeNeeding, unlessRequired } from "./needing.ts";

export { type NatsOptions, NatsServer } from "./nats-server.ts";

const PROGRAM = "nats-server";

/** Why there are no tests with NATS here; undefined when there are. @throws as {@link unlessRequired} */
export function missingNats(): string | undefined {
  return unlessRequired(missing());
}

function missing(): string | undefined {
  const env = { PATH: `${process.env.PATH}:/usr/sbin` };
  const { error, status, stdout } = spawnSync(PROGRAM, ["--version"], { env, encoding: "utf8" });
  if (error || status !== 0) return `${PROGRAM} is not installed`;
  const why = outdated(stdout.trim().replace(/^.*: /, ""));
  return why && `of ${PROGRAM}, ${why}`;
}

/** Tests that need `nats-server`. Where there is none, or an old one, they are skipped, or fail when `REQUIRE_SERVICES=1`. */
export function describeWithNats(name: string, tests: () => void): void {
  describeNeeding(missingNats())(name, tests);
}
