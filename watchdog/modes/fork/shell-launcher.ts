import type { Command } from "../../config.ts";
import type { Env } from "../../env.ts";
import type { Job, Launcher, Run } from "./launch.ts";
import { Shell } from "./shell.ts";

/** A shell that had no call for this long is one too many. */
const IDLE_MS = 30_000;

export interface ShellProgram {
  /** Its program as an absolute path, so that it cannot be taken for a command of the shell's own. */
  readonly command: Command;
  readonly env: Env;
  /** stderr goes where stdout goes. */
  readonly combineOutput: boolean;
}

/** Starts processes through shells kept for reuse: as many as there were calls at once, one when there are none. */
export class ShellLauncher implements Launcher {
  readonly #command: Command;
  readonly #env: Env;
  readonly #combineOutput: boolean;
  readonly #fallback: Launcher;
  readonly #shells = new Set<Shell>();
  /** The one used last is at the end, and used next. */
  readonly #idle: Shell[] = [];
  readonly #trimmer: NodeJS.Timeout;

  /**
   * @param fallback takes what a shell cannot
   * @param first a shell that is ready
   */
  constructor(program: ShellProgram, fallback: Launcher, first: Shell) {
    this.#command = program.command;
    this.#env = program.env;
    this.#combineOutput = program.combineOutput;
    this.#fallback = fallback;
    this.#shells.add(first);
    this.#keep(first);
    this.#trimmer = setInterval(() => this.#trim(performance.now() - IDLE_MS), IDLE_MS).unref();
  }

  async launch(job: Job): Promise<Run> {
    const shell = this.#idle.pop() ?? this.#create();
    const run = (await shell.ready) ? shell.run(this.#command, job) : undefined;
    if (run === undefined) {
      if (shell.retired) this.#discard(shell);
      else this.#keep(shell);
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

  #create(): Shell {
    const shell = new Shell(this.#env, this.#combineOutput);
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
