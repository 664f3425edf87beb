import { extname } from "node:path";

/**
 * A module by its path from another one, as source or compiled, as that one is.
 * @param path without extension
 * @param from `import.meta.url`
 */
export function moduleUrl(path: string, from: string): URL {
  return new URL(path + extname(new URL(from).pathname), from);
}
