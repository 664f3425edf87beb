import type { CallOrphans } from "./call-orphans.ts";
import type { Job, Launcher, Run } from "./launch.ts";

/** Marks the processes of each call, so that nothing of it is left when it is over. */
export class MarkingLauncher implements Launcher {
  readonly #launcher: Launcher;
  readonly #orphans: CallOrphans;

  constructor(launcher: Launcher, orphans: CallOrphans) {
    this.#launcher = launcher;
    this.#orphans = orphans;
  }

  async launch(job: Job): Promise<Run> {
    const [name, mark] = this.#orphans.begin();
    try {
      const run = await this.#launcher.launch({ ...job, variables: { ...job.variables, [name]: mark } });
      const over = () => this.#orphans.end(mark);
      // A process in the background may still print into the answer of one that has ended.
      void run.over.then(over);
      const kill = () => {
        run.kill();
        over();
        this.#orphans.look();
      };
      return {
        get stdout() {
          return run.stdout;
        },
        stderr: run.stderr,
        hasRemark: run.hasRemark ?? false,
        ended: run.ended,
        over: run.over,
        takeOutput: run.takeOutput,
        kill,
      };
    } catch (error) {
      this.#orphans.end(mark);
      throw error;
    }
  }

  close(): void {
    this.#launcher.close();
    this.#orphans.close();
  }
}
