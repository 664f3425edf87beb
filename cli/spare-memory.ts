/**
 * Has V8 do without what only pays in time: the first and the last of its compilers, which take megabytes to make code that
 * a short command then hardly runs (one in the middle stays, for what runs long after all), and a young generation that grows before the old one is collected. Meant for a process that
 * ends soon.
 */
export function spareMemory(): void {
  // As all modules of Node's in what users get: asked for by name, nothing else is loaded.
  const { setFlagsFromString } = process.getBuiltinModule("node:v8");
  for (const flag of ["--no-opt", "--no-sparkplug", "--semi-space-growth-factor=1"]) setFlagsFromString(flag);
}
