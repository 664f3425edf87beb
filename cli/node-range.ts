/**
 * Whether a version of Node's is in a range such as `>=22.22 <23 || >=24.6`, which is made of these signs.
 * Compares by itself: the language's rules for texts with numbers take three megabytes of memory.
 */
export function isInRange(version: string, range: string): boolean {
  return range.split("||").some((part) =>
    part
      .trim()
      .split(/\s+/)
      .every((rule) => {
        const isLowerBound = rule.startsWith(">=");
        const difference = compareVersions(version, rule.replace(/^\D+/, ""));
        return isLowerBound ? difference >= 0 : difference < 0;
      }),
  );
}

function compareVersions(left: string, right: string): number {
  const others = right.split(".");
  const own = left.split(".");
  for (let i = 0; i < Math.max(own.length, others.length); i++) {
    const difference = Number.parseInt(own[i] || "0", 10) - Number.parseInt(others[i] || "0", 10);
    if (difference !== 0) return difference;
  }
  return 0;
}
