import { isWithin } from "./shown.ts";

/** What a handler in the watchdog's own process may touch without a wall. Paths are absolute. */
export interface Allowance {
  readonly code: string;
  readonly readOnly: boolean;
  readonly secrets: string;
  readonly tmp: string;
  readonly watchdog: string;
  /** What of the system may be read, and what of it must not be. */
  readonly system: readonly string[];
  readonly hidden: readonly string[];
}

/** Libraries look here for what machine they are on. */
const FACTS = ["/proc/cpuinfo", "/proc/meminfo", "/proc/version", "/proc/stat", "/proc/loadavg", "/proc/self/cgroup"];
/** Says at every start which of the flags are dangerous. */
const QUIET = "--disable-warning=SecurityWarning";

/**
 * Flags of Node's permission model behind a wall. Which files there are is the wall's business; what is kept shut are
 * Node's inspector and its inner bindings. All else is what handlers expect.
 */
export function permissionsBehindWall(): string[] {
  const files = ["--allow-fs-read=*", "--allow-fs-write=*"];
  return ["--permission", ...files, "--allow-child-process", "--allow-worker", "--allow-addons", "--allow-wasi", QUIET];
}

/**
 * Flags of Node's permission model where it is all there is. Programs and native addons would be bound by nothing, so
 * there are none. It is a seat belt, not a wall: the network is open, and links are followed.
 */
export function permissionsWithoutWall(allowance: Allowance, nodeMajor: number): string[] {
  const { code, readOnly, secrets, tmp, watchdog, system, hidden } = allowance;
  const harmless = system.filter((path) => !hidden.some((one) => isWithin(path, one)));
  const read = [code, secrets, tmp, watchdog, ...harmless, ...FACTS];
  const write = readOnly ? [tmp] : [code, tmp];
  return [
    "--permission",
    ...read.map((path) => `--allow-fs-read=${path}`),
    ...write.map((path) => `--allow-fs-write=${path}`),
    // Workers are bound by the same rules from then on.
    ...(nodeMajor >= 24 ? ["--allow-worker"] : []),
    QUIET,
  ];
}
