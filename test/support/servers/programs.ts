import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { unlessRequired } from "../needing.ts";

/** Where programs for administrators are, beside the usual places. */
export const PROGRAM_PATH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;

/** Why there are no tests with a program here; undefined when there are. @throws as {@link unlessRequired} */
export function missingProgram(program: string): string | undefined {
  const { status } = spawnSync("sh", ["-c", `command -v ${program}`], { env: { PATH: PROGRAM_PATH } });
  return unlessRequired(status === 0 ? undefined : `${program} is not installed`);
}

/** A port of the loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
