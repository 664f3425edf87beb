// Part of the build: says what is wrong with a handler that could not serve any call. It only reads the file, so what the
// source does not show is left to the start.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decideContract } from "./contract.mjs";
import { findHandler } from "./handler.mjs";

const EXPORT =
  /(?:\bmodule\.exports|\bexports\.(?:default|handler))\s*=\s*|^\s*export\s+default\s+|^\s*export\s+const\s+handler\s*=\s*/gm;
const FUNCTION = /^(?:async\b|function\b|class\b|\(|[\p{ID_Start}$_][\p{ID_Continue}$]*\s*=>)/u;
const IDENTIFIER = /^([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*(?:;|\n|$)/u;

/** The source of the function that a module exports, as far as it shows; undefined where it does not. */
export function exportedFunction(source) {
  const last = [...source.matchAll(EXPORT)].at(-1);
  if (last === undefined) return undefined;
  const value = source.slice(last.index + last[0].length);
  const name = IDENTIFIER.exec(value)?.[1];
  const found = name === undefined ? value : definitionOf(source, name);
  return found !== undefined && FUNCTION.test(found) ? found : undefined;
}

function definitionOf(source, name) {
  const escaped = name.replaceAll("$", "\\$");
  const declared = new RegExp(
    `^\\s*((?:async\\s+)?function\\s*\\*?\\s*${escaped}\\s*\\(|class\\s+${escaped}\\b)`,
    "mu",
  ).exec(source);
  if (declared !== null) return source.slice(declared.index + declared[0].length - declared[1].length);
  const assigned = new RegExp(`^\\s*(?:const|let|var)\\s+${escaped}\\s*=\\s*`, "mu").exec(source);
  return assigned === null ? undefined : source.slice(assigned.index + assigned[0].length);
}

if (process.argv[1] === import.meta.filename) {
  const dir = join(import.meta.dirname, "../function");
  try {
    const file = findHandler(dir);
    const source = exportedFunction(readFileSync(join(dir, file), "utf8"));
    if (source !== undefined) decideContract(source);
  } catch (error) {
    console.error(`function: ${error.message}`);
    process.exitCode = 1;
  }
}
