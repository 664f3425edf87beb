import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CONTRACTS } from "./contract.mjs";

// The sample stays in the build context when a handler of another kind is laid over it, so the kinds that only a user
// can have brought come first.
const NAMES = ["handler.mjs", "handler.cjs", "handler.js"];

/**
 * The file in `dir` that holds the function.
 * @throws {Error} when there is none
 */
export function findHandler(dir) {
  const name = NAMES.find((candidate) => existsSync(join(dir, candidate)));
  if (name === undefined) throw new Error(`no ${NAMES.join(", ")} in ${dir}`);
  return name;
}

/**
 * The function in `dir`: `export default`, `module.exports`, or either one's property `handler`.
 * @throws {Error} when there is none
 */
export async function loadHandler(dir) {
  const name = findHandler(dir);
  const module = await import(pathToFileURL(join(dir, name)).href);
  // A CommonJS module compiled from `export default` wraps its default once more.
  const handler = [module.default, module.default?.default, module.handler, module.default?.handler].find(
    (candidate) => typeof candidate === "function",
  );
  if (handler === undefined) {
    throw new Error(
      `${name} exports no function: it needs "module.exports = …" or "export default …", a function of ${CONTRACTS}`,
    );
  }
  return handler;
}
