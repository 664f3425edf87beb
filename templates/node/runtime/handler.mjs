import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// The sample stays in the build context when a handler of another kind is laid over it, so the kinds that only a user
// can have brought come first.
const NAMES = ["handler.mjs", "handler.cjs", "handler.js"];

/**
 * The function in `dir`: `export default`, `module.exports`, or either one's property `handler`.
 * @throws {Error} when there is none
 */
export async function loadHandler(dir) {
  const name = NAMES.find((candidate) => existsSync(join(dir, candidate)));
  if (name === undefined) throw new Error(`no ${NAMES.join(", ")} in ${dir}`);
  const module = await import(pathToFileURL(join(dir, name)).href);
  // A CommonJS module compiled from `export default` wraps its default once more.
  const handler = [module.default, module.default?.default, module.handler, module.default?.handler].find(
    (candidate) => typeof candidate === "function",
  );
  if (handler === undefined) {
    throw new Error(
      `${name} exports no function: it needs "module.exports = async (event, context) => …" or "export default"`,
    );
  }
  return handler;
}
