import { basicAuthHeader, type Credentials, readCredentials } from "./basic-auth.ts";
import type { Logger } from "./log.ts";
import { sleep } from "./sleep.ts";

export interface CredentialFilesOptions {
  readonly log: Pick<Logger, "info" | "warn">;
  /** How long credentials are taken that others have taken the place of, in milliseconds. */
  readonly overlapMs: number;
  /** Time between two looks at the files. Default 0.5 s. */
  readonly lookEveryMs?: number;
}

/** Between two readings that have to agree: a file that is overwritten in place is short for a moment. */
const SETTLE_MS = 50;

/**
 * The credentials in a folder, as they are there now: what is mounted, renamed or written there holds without a restart.
 * Files that are missing, empty or unfinished change nothing.
 */
export class CredentialFiles implements Credentials {
  readonly #folder: string;
  readonly #log: CredentialFilesOptions["log"];
  readonly #timer: NodeJS.Timeout;
  #current: Credentials;
  #previous: Credentials | undefined;
  readonly #overlapMs: number;
  /** When the current ones were seen. */
  #changedAt = Number.NEGATIVE_INFINITY;
  /** What the last look has seen; it holds once the next one sees the same. */
  #seen: Credentials;
  #looking: Promise<void> | undefined;
  #isUnreadable = false;

  /** @throws as {@link readCredentials} when there are none to begin with */
  static async open(folder: string, options: CredentialFilesOptions): Promise<CredentialFiles> {
    return new CredentialFiles(folder, await readCredentials(folder), options);
  }

  private constructor(
    folder: string,
    first: Credentials,
    { log, overlapMs, lookEveryMs = 500 }: CredentialFilesOptions,
  ) {
    this.#overlapMs = overlapMs;
    this.#folder = folder;
    this.#current = first;
    this.#seen = first;
    this.#log = log;
    this.#timer = setInterval(() => void this.#look(), lookEveryMs).unref();
  }

  get user(): string {
    return this.#current.user;
  }

  get password(): string {
    return this.#current.password;
  }

  get expiring(): Credentials | undefined {
    return performance.now() - this.#changedAt < this.#overlapMs ? this.#previous : undefined;
  }

  /** Those that held before the current ones; clients that have not seen the change yet use them. */
  get previous(): Credentials | undefined {
    return this.#previous;
  }

  /** Looks at the files now. */
  async refresh(): Promise<void> {
    await this.#look();
    if (isSame(this.#seen, this.#current)) return;
    await sleep(SETTLE_MS);
    await this.#look();
  }

  #look(): Promise<void> {
    this.#looking ??= this.#read().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #read(): Promise<void> {
    let seen: Credentials;
    try {
      seen = await readCredentials(this.#folder);
    } catch (err) {
      if (!this.#isUnreadable) this.#log.warn({ err }, "cannot read the credentials; the ones known so far hold");
      this.#isUnreadable = true;
      return;
    }
    this.#isUnreadable = false;
    const settled = isSame(seen, this.#seen);
    this.#seen = seen;
    if (!settled || isSame(seen, this.#current)) return;
    this.#previous = this.#current;
    this.#current = seen;
    this.#changedAt = performance.now();
    this.#log.info({ folder: this.#folder, overlapMs: this.#overlapMs }, "the credentials have changed");
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** For clients that learn of a change a little later than the server; short, so that a leaked password ends soon. */
export const DEFAULT_PASSWORD_OVERLAP_MS = 60_000;

const isSame = (a: Credentials, b: Credentials) => a.user === b.user && a.password === b.password;

/** How a client logs in. */
export interface Login {
  /** `Authorization` to send. */
  header(): string;
  /** Another one to try, once `refused` was; undefined when there is none. */
  instead(refused: string): Promise<string | undefined>;
}

/** With the credentials as they are; after a change, with those before for a server that has not seen it yet. */
export function loginWith(credentials: Credentials): Login {
  return {
    header: () => basicAuthHeader(credentials),
    instead: async (refused) => {
      if (!(credentials instanceof CredentialFiles)) return undefined;
      await credentials.refresh();
      const known = [credentials, ...(credentials.previous ? [credentials.previous] : [])].map(basicAuthHeader);
      return known.find((header) => header !== refused);
    },
  };
}
