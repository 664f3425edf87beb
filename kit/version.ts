import { readFileSync } from "node:fs";
import type { VersionInfo } from "../contract/info.ts";

/** The release of the `package.json` that this source tree belongs to, and the commit it was built from if known. */
export function readVersion(): VersionInfo {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return { commit_message: `faaslane ${manifest.version}`, release: manifest.version, sha: "unknown" };
}
