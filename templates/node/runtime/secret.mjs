import { readFileSync } from "node:fs";
import { join } from "node:path";

// A Kubernetes secret's key: no slash and no leading dot, so a name never leaves the folder.
const NAME = /^[a-z0-9](?:[-._a-z0-9]{0,251}[a-z0-9])?$/i;

/**
 * A function that gives the text of one secret without its trailing line break. It reads the file every time: a
 * secret may change while the function runs.
 */
export function secretReader(dir) {
  return (name) => {
    if (typeof name !== "string" || !NAME.test(name)) throw new Error(`"${name}" cannot be the name of a secret`);
    try {
      return readFileSync(join(dir, name), "utf8").replace(/\r?\n$/, "");
    } catch (cause) {
      if (cause.code !== "ENOENT") throw new Error(`secret "${name}" cannot be read`, { cause });
      throw new Error(`this function has no secret "${name}": list it under "secrets" in the stack file`, { cause });
    }
  };
}
