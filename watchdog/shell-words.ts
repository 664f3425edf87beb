/** What shells export of themselves. */
export const OWN_VARIABLES = ["PWD", "OLDPWD", "SHLVL", "_"] as const;

/** Whether a shell can assign, and hands on, a variable of this name. */
export function isShellName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** A word that the shell takes as it is, whatever it holds. Zero bytes cannot occur, in an environment least of all. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
