import { execFile } from "node:child_process";
import { cp, mkdir, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

/** Stand-ins for official images: programs of this machine, and the libraries that they are linked with. */

async function librariesOf(programs: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    programs.map(async (program) => {
      const { stdout } = await promisify(execFile)("ldd", [program]).catch(() => ({ stdout: "" }));
      return [...stdout.matchAll(/(\/\S+)/g)].map(([path]) => path);
    }),
  );
  return [...new Set(found.flat())];
}

async function copyInto(rootfs: string, from: string, to = from): Promise<void> {
  await mkdir(join(rootfs, dirname(to)), { recursive: true });
  await cp(await realpath(from), join(rootfs, to), { recursive: true });
}

async function layOut(rootfs: string, programs: Readonly<Record<string, string>>, more: readonly string[] = []) {
  for (const [to, from] of Object.entries(programs)) await copyInto(rootfs, from, to);
  for (const path of await librariesOf([...Object.values(programs), ...more])) await copyInto(rootfs, path);
  for (const folder of ["dev", "proc", "tmp"]) await mkdir(join(rootfs, folder), { recursive: true });
}

/** As the official image of Node. */
export async function layOutNode(rootfs: string): Promise<void> {
  await layOut(rootfs, { "/usr/local/bin/node": process.execPath });
}

/** No program at all, but what Node's are linked with; so there is no shell. */
export async function layOutLibraries(rootfs: string): Promise<void> {
  await layOut(rootfs, {}, [process.execPath]);
}

/** A shell, and a few programs. */
export async function layOutBash(rootfs: string): Promise<void> {
  const programs = ["bash", "cat", "env", "tr"].map((name) => [`/usr/bin/${name}`, `/usr/bin/${name}`] as const);
  await layOut(rootfs, { "/bin/sh": "/bin/sh", ...Object.fromEntries(programs) }, [process.execPath]);
}

/** The system's Python with its standard library. @returns its version */
export async function layOutPython(rootfs: string): Promise<string> {
  const python = "/usr/bin/python3";
  const { stdout } = await promisify(execFile)(python, [
    "-c",
    "import sys, sysconfig, _socket, _ssl, _ctypes; print(sys.version.split()[0]); print(sysconfig.get_path('stdlib')); " +
      "print(sysconfig.get_config_var('DESTSHARED')); print(_ssl.__file__); print(_ctypes.__file__)",
  ]);
  const [version = "", library = "", , ...modules] = stdout.trim().split("\n");
  await layOut(rootfs, { "/usr/local/bin/python3": python }, [process.execPath, ...modules]);
  await mkdir(join(rootfs, dirname(library)), { recursive: true });
  await cp(library, join(rootfs, library), {
    recursive: true,
    filter: (path) => !/\/(test|__pycache__|dist-packages|ensurepip|idlelib|config-[\w-]+)$/.test(path),
  });
  return version;
}
