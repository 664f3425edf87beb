import { closed } from "../../pipes.ts";
import type { CallStrays } from "./call-strays.ts";
import type { Job, Launcher, Run } from "./launch.ts";

/** Marks the processes of each call, so that nothing of it is left when it is over. */
export class MarkingLauncher implements Launcher {
  readonly #launcher: Launcher;
  readonly #strays: CallStrays;

  constructor(launcher: Launcher, strays: CallStrays) {
    this.#launcher = launcher;
    this.#strays = strays;
  }

  async launch(job: Job): Promise<Run> {
    const [name, mark] = this.#strays.begin();
    try {
      const run = await this.#launcher.launch({ ...job, variables: { ...job.variables, [name]: mark } });
      const over = () => this.#strays.end(mark);
      // A process in the background may still print into the answer of one that has ended.
      void Promise.all([run.ended, closed(run.stdout)]).then(over);
      const kill = () => {
        run.kill();
        over();
        this.#strays.look();
      };
      return { ...run, kill };
    } catch (error) {
      this.#strays.end(mark);
      throw error;
    }
  }

  close(): void {
    this.#launcher.close();
    this.#strays.close();
  }
}
