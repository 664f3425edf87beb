// Starts a replica and an install step while the process has no file descriptor left, and again when it has; tells on
// standard output how each ended. What is tested is that it lives to tell.

import { closeSync, openSync } from "node:fs";
import { runInstall } from "../../../kit/install-step.ts";
import { listProcesses } from "../../../provider/backends/local/processes.ts";
import { startProcess } from "../../../provider/backends/local/replica-process.ts";

const spec = { command: "/bin/true", args: [], cwd: "/", env: {} };
const step = { command: ["/bin/true"], cwd: "/", env: {}, timeoutMs: 5_000, maxOutputBytes: 1_000 };

async function attempt(): Promise<unknown[]> {
  const { ended } = startProcess(spec, {
    onListening: () => {},
    openOutput: () => ({ write: () => {}, end: () => {} }),
  });
  const running = runInstall(step, new AbortController().signal);
  let installed = await running.next();
  while (!installed.done) installed = await running.next();
  return [await ended, installed.value];
}

const outcomes: Record<string, unknown> = {};
// Loads what is loaded with the first use, which takes descriptors too.
await attempt();
for (const left of [0, 1, 2, 3, 4, 5]) {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch {
    for (const fd of taken.splice(0, left)) closeSync(fd);
  }
  outcomes[`${left} left`] = await attempt();
  for (const fd of taken) closeSync(fd);
}
outcomes.again = await attempt();
outcomes.processes = (await listProcesses()).length > 0;
process.stdout.write(JSON.stringify(outcomes));
