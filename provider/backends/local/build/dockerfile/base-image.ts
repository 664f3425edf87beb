/** What a base image brings that a function may start. */
export interface Base {
  /** Programs that the machine has to have instead. */
  readonly requires: readonly string[];
  /** Which of OpenFaaS's watchdogs it is, if it is one. */
  readonly watchdog?: "of" | "classic";
}

const PROGRAMS: readonly (readonly [name: RegExp, ...programs: string[]])[] = [
  [/^(python|pypy)$/, "python3"],
  [/^node$/, "node"],
  [/^golang$/, "go"],
  [/^ruby$/, "ruby"],
  [/^perl$/, "perl"],
  [/^php$/, "php"],
  [/^(openjdk|eclipse-temurin|amazoncorretto)$/, "java"],
  [/^deno$/, "deno"],
  [/^bun$/, "bun"],
  [/^bash$/, "bash"],
  [/^(alpine|debian|ubuntu|busybox|scratch|static|static-debian\d+|base|base-debian\d+)$/],
];

/** @returns undefined for an image of which nothing is known */
export function baseOf(image: string): Base | undefined {
  const name = image.split("/").at(-1)?.split(/[:@]/)[0] ?? "";
  if (name === "of-watchdog") return { requires: [], watchdog: "of" };
  if (name === "classic-watchdog" || name === "watchdog") return { requires: [], watchdog: "classic" };
  const [, ...requires] = PROGRAMS.find(([pattern]) => pattern.test(name)) ?? [undefined];
  return PROGRAMS.some(([pattern]) => pattern.test(name)) ? { requires } : undefined;
}
