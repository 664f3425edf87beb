import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unlessRequired } from "./needing.ts";

/** Debian's `faketime`, by architecture. */
const LIBRARIES = ["x86_64", "aarch64"].map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`);

/** Why processes cannot be given clocks of their own here; undefined when they can. */
export function missingFakeClock(): string | undefined {
  return unlessRequired(LIBRARIES.some(existsSync) ? undefined : "faketime is not installed");
}

/** The system's clock as some processes see it, to be set while they run. Their monotonic clock goes on as it does. */
export class FakeClock {
  readonly #file: string;

  /** @param folder of its own */
  constructor(folder: string) {
    this.#file = join(folder, "clock");
    this.set(0);
  }

  /** For the processes' environment. */
  get env(): Record<string, string> {
    return {
      LD_PRELOAD: LIBRARIES.find(existsSync) ?? "",
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
  }

  /** @param seconds ahead of the true time from now on; behind it below zero */
  set(seconds: number): void {
    writeFileSync(this.#file, `${seconds < 0 ? "-" : "+"}${Math.abs(seconds)}\n`);
  }
}
