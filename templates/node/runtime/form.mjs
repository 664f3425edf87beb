import { parse } from "node:querystring";
import { Refusal } from "./refusal.mjs";

const MAX_PARAMETERS = 1000;
const MAX_DEPTH = 32;
const ARRAY_INDEX = /^(?:0|[1-9]\d?)$/;

/**
 * An object out of `a=1&b[c]=2&d[]=3`: brackets nest, `[]` and indexes below 100 make arrays, as does a repeated key.
 * @throws {Refusal} 413 for too many parameters, 400 for too deep a key
 */
export function parseForm(text) {
  // One more than allowed: `querystring` drops what is over its limit without saying so.
  const flat = parse(text, "&", "=", { maxKeys: MAX_PARAMETERS + 1 });
  const root = new Map();
  let count = 0;
  for (const [key, value] of Object.entries(flat)) {
    const values = Array.isArray(value) ? value : [value];
    count += values.length;
    if (count > MAX_PARAMETERS) throw new Refusal(413, `form has more than ${MAX_PARAMETERS} parameters`);
    const path = keyPath(key);
    if (path.length > MAX_DEPTH) throw new Refusal(400, `form key nests deeper than ${MAX_DEPTH} levels`);
    if (key === "") continue; // no name to put it under
    // Harmless here, but a handler that copies the form key by key would set a prototype with it.
    if (path.includes("__proto__")) continue;
    for (const one of values) insert(root, path, one);
  }
  return toObject(root);
}

/** `a[b][]` → `["a", "b", ""]`; a key whose brackets do not pair up is one plain name. */
function keyPath(key) {
  const [, head, brackets] = /^([^[\]]+)((?:\[[^[\]]*\])*)$/.exec(key) ?? [undefined, key, ""];
  return brackets === "" ? [head] : [head, ...brackets.slice(1, -1).split("][")];
}

/** Puts `value` at `path`. A node is a Map; a leaf is the list of the values that share one key. */
function insert(root, path, value) {
  let node = root;
  for (const [depth, part] of path.entries()) {
    const key = part === "" ? nextIndex(node) : part;
    const existing = node.get(key);
    if (depth < path.length - 1) {
      const child = existing instanceof Map ? existing : new Map(existing?.map((leaf, index) => [`${index}`, [leaf]]));
      node.set(key, child);
      node = child;
    } else if (existing instanceof Map) {
      existing.set(value, [true]);
    } else {
      node.set(key, [...(existing ?? []), value]);
    }
  }
}

function nextIndex(node) {
  let index = node.size;
  while (node.has(`${index}`)) index++;
  return `${index}`;
}

function toObject(node) {
  return Object.fromEntries([...node].map(([key, child]) => [key, toValue(child)]));
}

function toValue(child) {
  if (Array.isArray(child)) return child.length === 1 ? child[0] : child;
  return [...child.keys()].every((key) => ARRAY_INDEX.test(key)) ? [...child.values()].map(toValue) : toObject(child);
}
