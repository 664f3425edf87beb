import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Whether this replica wants traffic. Its lock file says so to probes that only look at files. */
export class Health {
  readonly #lockFile: string;
  #accepting = false;

  constructor(lockFile: string) {
    this.#lockFile = lockFile;
  }

  /** @throws when the lock file cannot be written */
  accept(writeLock: boolean): void {
    if (writeLock) {
      mkdirSync(dirname(this.#lockFile), { recursive: true });
      writeFileSync(this.#lockFile, "", { mode: 0o660 });
    }
    this.#accepting = true;
  }

  /** From now on probes fail, so that traffic is routed elsewhere. */
  refuse(): void {
    this.#accepting = false;
    rmSync(this.#lockFile, { force: true });
  }

  /** Removing the lock file by hand is OpenFaaS's documented way to take a replica out. */
  get healthy(): boolean {
    return this.#accepting && existsSync(this.#lockFile);
  }
}
