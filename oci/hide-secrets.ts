import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";

/** Settings of package managers, wherever they lie: tokens for registries are in them. */
const SETTINGS = new Set([".npmrc", ".yarnrc", ".yarnrc.yml", ".netrc", "pip.conf", ".pypirc"]);
/** Variables whose values nobody is shown. */
const SECRET_NAME = /(TOKEN|PASSWORD|PASSWD|SECRET|_AUTH|API_?KEY)$/i;
const SECRET_LINE = /(?:_authToken|_auth|_password|password|npmAuthToken)\s*[=:]\s*"?([^\s"]+)/gi;
/** Shorter ones would hide words that mean nothing. */
const MIN_LENGTH = 6;
const MAX_SETTINGS_BYTES = 64 * 1024;
const HIDDEN = "***";

/** Whether a file is for the build alone: it says how to get packages, and as whom. */
export function holdsSecrets(path: string): boolean {
  return SETTINGS.has(basename(path));
}

/**
 * Hides in the output of an install step what it was given to log in with: the values of variables with such names, of the
 * settings of package managers in its folder, and names and passwords in addresses.
 * @param given texts of secrets that it gets by other ways
 */
export async function hideSecrets(
  folder: string,
  env: Readonly<Record<string, string>>,
  given: readonly string[] = [],
): Promise<(line: string) => string> {
  const ofVariables = Object.entries(env).flatMap(([name, value]) => (SECRET_NAME.test(name) ? [value] : []));
  const files = (await readdir(folder, { recursive: true })).filter(
    (path) => holdsSecrets(path) && !path.includes("node_modules"),
  );
  const texts = await Promise.all(files.map((path) => readFile(join(folder, path), "utf8").catch(() => "")));
  const ofFiles = [...texts, ...given].flatMap((text) =>
    [...text.slice(0, MAX_SETTINGS_BYTES).matchAll(SECRET_LINE)].map(([, value]) => value as string),
  );
  // The longest first: one may be a part of another.
  const secrets = [...new Set([...ofVariables, ...ofFiles, ...given.map((text) => text.trim())])]
    .filter((value) => value.length >= MIN_LENGTH && !value.startsWith("${"))
    .sort((a, b) => b.length - a.length);
  return (line) => {
    const shown = secrets.reduce((text, secret) => text.replaceAll(secret, HIDDEN), line);
    return shown.replace(/(?<=:\/\/)[^\s/@]{1,512}@/g, `${HIDDEN}@`);
  };
}
