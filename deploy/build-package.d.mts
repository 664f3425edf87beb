/** Compiles all of it anew. @returns the folder */
export function buildPackage(): Promise<string>;
/** Compiles it when something that it is made of is newer. */
export function refreshPackage(): Promise<void>;
