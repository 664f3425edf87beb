import type { Command } from "../../config.ts";
import type { Env } from "../../env.ts";
import type { Job, Launcher, Run } from "./launch.ts";
import { Shell } from "./shell.ts";
import { buildScript } from "./shell-script.ts";

/** A shell that had no call for this long is one too many. */
const IDLE_MS = 30_000;

/** Starts processes through shells kept for reuse: as many as there were calls at once, two for one at a time, one when there are none. */
export class ShellLauncher implements Launcher {
  readonly #command: Command;
  readonly #env: Env;
  readonly #fallback: Launcher;
  readonly #shells = new Set<Shell>();
  /** The one used last is at the end, and used next. */
  readonly #idle: Shell[] = [];
  readonly #trimmer: NodeJS.Timeout;

  /**
   * @param command its program as an absolute path, so that it cannot be taken for a command of the shell's own
   * @param fallback takes what a shell cannot
   * @param first a shell that is ready
   */
  constructor(command: Command, env: Env, fallback: Launcher, first: Shell) {
    this.#command = command;
    this.#env = env;
    this.#fallback = fallback;
    this.#shells.add(first);
    this.#keep(first);
    this.#trimmer = setInterval(() => this.#trim(performance.now() - IDLE_MS), IDLE_MS).unref();
  }

  async launch(job: Job): Promise<Run> {
    const script = buildScript(this.#command, job.variables, job.combineOutput);
    if (script === undefined) return this.#fallback.launch(job);
    const shell = this.#take();
    const run = (await shell.ready) ? shell.run(script, job) : undefined;
    if (run === undefined) {
      this.#discard(shell);
      return this.#fallback.launch(job);
    }
    void run.over.then(() => {
      if (shell.retired) this.#discard(shell);
      else this.#keep(shell);
    });
    return run;
  }

  close(): void {
    clearInterval(this.#trimmer);
    for (const shell of this.#shells) shell.retire();
    this.#shells.clear();
    this.#idle.length = 0;
    this.#fallback.close();
  }

  /**
   * A shell has to get ready after each call, and callers that come one after the other would wait for that: so there are two
   * from the first such call on, and the one that is ready is used.
   */
  #take(): Shell {
    const at = this.#idle.findLastIndex((shell) => shell.prepared);
    if (at !== -1) return this.#idle.splice(at, 1)[0] as Shell;
    const shell = this.#idle.pop();
    if (shell === undefined) return this.#create();
    if (this.#shells.size === 1) this.#keep(this.#create());
    return shell;
  }

  #create(): Shell {
    const shell = new Shell(this.#env);
    this.#shells.add(shell);
    return shell;
  }

  #keep(shell: Shell): void {
    shell.idleSince = performance.now();
    this.#idle.push(shell);
  }

  #discard(shell: Shell): void {
    shell.retire();
    this.#shells.delete(shell);
  }

  #trim(unusedSince: number): void {
    while (this.#idle.length > 1 && (this.#idle[0] as Shell).idleSince < unusedSince) {
      this.#discard(this.#idle.shift() as Shell);
    }
  }
}
