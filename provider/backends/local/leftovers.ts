import { listProcesses, readProcFile } from "./processes.ts";
import { signalQuietly } from "./replica-process.ts";

/**
 * Kills replicas, and what they have started, that outlived an earlier life of the platform: a watchdog whose handler
 * never yields cannot notice that its supervisor is gone. They are told from strangers by an environment that names
 * this backend's folder, which no other process has and which, unlike a process id, is never used again.
 * @param functionsDir absolute; every replica's secrets lie below it
 * @returns how many processes were killed
 */
export async function killLeftovers(functionsDir: string): Promise<number> {
  const marker = `\0FAASLANE_SECRETS_DIR=${functionsDir}/`;
  const found = await Promise.all(
    (await listProcesses()).map(async (info) => {
      const environment = info.pid === process.pid ? undefined : await readProcFile(info.pid, "environ");
      return environment !== undefined && `\0${environment}`.includes(marker) ? [info] : [];
    }),
  );
  const leftovers = found.flat();
  for (const { pid, group } of leftovers) {
    // A leader takes its whole group along, members with another environment included.
    signalQuietly(pid === group ? -pid : pid, "SIGKILL");
  }
  return leftovers.length;
}
