import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where the platform of a data folder listens, and which process it is. */
interface LocalPlatform {
  /** `http://host:port` of its gateway. */
  readonly url: string;
  readonly pid: number;
}

/** Beside the password that the platform has made for itself. */
export const PLATFORM_FILE = "platform.json";

/** Tells clients on this machine where the platform of `dataDir` listens. */
export function recordPlatform(dataDir: string, url: string): void {
  const file = join(dataDir, PLATFORM_FILE);
  const platform: LocalPlatform = { url, pid: process.pid };
  try {
    writeFileSync(`${file}.new`, `${JSON.stringify(platform)}\n`, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  } catch (error) {
    rmSync(`${file}.new`, { force: true });
    throw error;
  }
}

/** It does not listen any more. */
export function forgetPlatform(dataDir: string): void {
  rmSync(join(dataDir, PLATFORM_FILE), { force: true });
}

/**
 * Whether the platform that has written `text` runs and listens at `url`. Another program may have its port while it
 * does not run, and a stack file may name any port.
 * @param text of {@link PLATFORM_FILE}; empty when there is none
 */
export function isPlatformAt(url: string, text: string): boolean {
  const platform = parsePlatform(text);
  if (!platform || !URL.canParse(url) || !URL.canParse(platform.url)) return false;
  const [asked, known] = [new URL(url), new URL(platform.url)];
  const sameHost = asked.hostname === known.hostname || asked.hostname === "localhost";
  return asked.protocol === known.protocol && sameHost && asked.port === known.port && isAlive(platform.pid);
}

function parsePlatform(text: string): LocalPlatform | undefined {
  try {
    const { url, pid } = JSON.parse(text) as Partial<LocalPlatform>;
    return typeof url === "string" && Number.isSafeInteger(pid) ? { url, pid: pid as number } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It runs as somebody else.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
