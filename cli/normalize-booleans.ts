/** Flags that are on unless switched off; each has a `--no-…` form. */
const ON = ["envsubst", "update", "read-template", "trim", "tail", "overwrite", "build"];
/** Flags that are off unless given. */
const OFF = [
  ...["replace", "readonly", "tls-no-verify", "quiet", "verbose", "json", "async", "auth", "shrinkwrap", "no-cache"],
  ...["list", "password-stdin", "short-version", "skip-push", "skip-deploy", "watch", "squash", "pull", "debug"],
  ...["disable-stack-pull", "publish", "reset-qemu", "print", "warn-update", "force", "dry-run"],
];

/** `--flag=true` and `--flag=false`, as scripts written for Go programs have them, in the forms that are parsed here. */
export function normalizeBooleans(argv: readonly string[]): string[] {
  const end = argv.indexOf("--");
  const flags = end === -1 ? argv : argv.slice(0, end);
  const rest = end === -1 ? [] : argv.slice(end);
  const normalized = flags.flatMap((word) => {
    const [, name = "", value] = /^--([a-z-]+)=(true|false)$/.exec(word) ?? [];
    if (ON.includes(name)) return [value === "true" ? `--${name}` : `--no-${name}`];
    if (OFF.includes(name)) return value === "true" ? [`--${name}`] : [];
    return [word];
  });
  return [...normalized, ...rest];
}
