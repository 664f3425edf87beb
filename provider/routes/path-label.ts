import { PATHS } from "../../contract/paths.ts";

const WHOLE: ReadonlySet<string> = new Set([
  PATHS.functions,
  PATHS.secrets,
  PATHS.namespaces,
  PATHS.info,
  PATHS.logs,
  PATHS.endpoints,
  PATHS.build,
  PATHS.prune,
  PATHS.routes,
  PATHS.eventObjects,
  PATHS.eventObjectStatus,
  PATHS.eventObjectsGone,
  PATHS.announce,
]);
const PREFIXES = [PATHS.function, PATHS.scale, PATHS.expedite, PATHS.namespace];

/** The `path` label of a request's metrics: names are cut off, what we do not serve is `other`. */
export function pathLabel(path: string): string {
  if (WHOLE.has(path)) return path;
  const prefix = PREFIXES.find((known) => path.startsWith(known));
  return prefix === undefined ? "other" : prefix.slice(0, -1);
}
