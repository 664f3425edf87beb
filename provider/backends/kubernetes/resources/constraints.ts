import { clip } from "../../../../contract/clip.ts";
import { isDnsSubdomain } from "../../../../contract/names.ts";

/** A label's name with its prefix, and its value, are not nearly as long. */
const MAX_CHARS = 1_000;

/** Reads `key=value` or, as Swarm wrote it, `key == value`; undefined for anything else. */
function parseConstraint(text: string): readonly [key: string, value: string] | undefined {
  const at = text.indexOf("=");
  if (at < 0 || text.length > MAX_CHARS) return undefined;
  const key = text.slice(0, at).trim();
  const value = text.slice(text[at + 1] === "=" ? at + 2 : at + 1).trim();
  return /^[^!\s]+$/.test(key) && /^[^=\s]*$/.test(value) ? [key, value] : undefined;
}

const LABEL_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Whether Kubernetes takes `key` for a label or an annotation. */
export function isQualifiedName(key: string): boolean {
  const slash = key.indexOf("/");
  const prefix = key.slice(0, Math.max(slash, 0));
  const prefixOk = slash === -1 || isDnsSubdomain(prefix);
  return prefixOk && LABEL_NAME.test(key.slice(slash + 1));
}

export function isLabelValue(value: string): boolean {
  return value === "" || LABEL_NAME.test(value);
}

/** Constraints that are no node labels, or contradict each other; one line each. */
export function constraintProblems(constraints: readonly string[] = []): string[] {
  const seen = new Map<string, string>();
  return constraints.flatMap((constraint) => {
    const [key, value] = parseConstraint(constraint) ?? ["", ""];
    if (!isQualifiedName(key) || !isLabelValue(value)) {
      return [`constraints: "${clip(constraint, 100)}" is not a node label such as kubernetes.io/arch=arm64`];
    }
    const other = seen.get(key);
    seen.set(key, value);
    return other === undefined || other === value ? [] : [`constraints: "${key}" cannot be "${other}" and "${value}"`];
  });
}

/** Labels that a node has to have; undefined when any node will do. */
export function buildNodeSelector(constraints: readonly string[] = []): Record<string, string> | undefined {
  const pairs = constraints.flatMap((constraint) => {
    const pair = parseConstraint(constraint);
    return pair ? [pair] : [];
  });
  if (pairs.length === 0) return undefined;
  return Object.fromEntries(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The constraints that a node selector stands for, sorted. */
export function readConstraints(nodeSelector: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries(nodeSelector)
    .map(([key, value]) => `${key}=${value}`)
    .sort();
}
