/** Compiles all of it anew. @returns the folder */
export function buildPackage(): Promise<string>;
/** Dependencies of a clone that the package and the image do without. */
export const TOOLS: readonly string[];
/** What esbuild prints at `path`, with modules of Node's asked for by name instead of imported. */
export function importLater(path: string, text: string): string;
/** Compiles it when something that it is made of is newer. */
export function refreshPackage(): Promise<void>;
