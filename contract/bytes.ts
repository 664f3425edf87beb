const UNITS = [
  [1024 ** 3, "Gi"],
  [1024 ** 2, "Mi"],
  [1024, "Ki"],
] as const;

/** A size as a person writes it: `512Mi`, `1.5Gi`, `12`. */
export function formatBytes(bytes: number): string {
  const [unit, suffix] = UNITS.find(([least]) => bytes >= least) ?? [1, ""];
  return `${Number((bytes / unit).toFixed(bytes / unit < 10 ? 1 : 0))}${suffix}`;
}
