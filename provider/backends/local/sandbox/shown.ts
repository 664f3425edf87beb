import { constants, existsSync } from "node:fs";
import {
  copyFile,
  lstat,
  mkdir,
  readdir,
  readlink,
  realpath,
  rename,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { isOutOfSpace } from "../../../../contract/shortages.ts";
import { ensureFolder, removeTree } from "../files.ts";

/** Part of the machine that functions see read-only: a file or a folder, or a symbolic link. */
export type Shown =
  | { readonly kind: "bind"; readonly path: string; readonly from: string }
  | { readonly kind: "link"; readonly path: string; readonly to: string };

/** Programs and libraries of the system. Nothing of a person or of the platform is in them. */
const SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/**
 * Settings of the system that programs read, below `/etc`. Chosen one by one: the folder as a whole holds private keys
 * and password hashes, which a platform that runs as root could read.
 */
const FILES = [
  ...["host.conf", "hostname", "nsswitch.conf", "gai.conf", "services", "protocols", "networks", "passwd", "group"],
  ...["localtime", "timezone", "os-release", "debian_version", "alpine-release", "redhat-release", "locale.alias"],
  ...["ld.so.cache", "ld.so.conf", "ld-musl-x86_64.path", "ld-musl-aarch64.path", "mime.types", "magic", "inputrc"],
  ...["ssl/openssl.cnf", "ssl/cert.pem", "pki/tls/openssl.cnf", "pki/tls/cert.pem", "npmrc", "pip.conf"],
];
/** These change while the platform runs: functions see them as they are when they start. */
const LIVE_FILES = ["resolv.conf", "hosts"];
const FOLDERS = ["alternatives", "ssl/certs", "pki/ca-trust", "pki/tls/certs", "crypto-policies", "fonts"];
/** Folders whose names have a version in them. */
const VERSIONED = /^(java-|ImageMagick-|php$)/;
const ETC = "/etc";

/** Whether `path` is `folder` or lies in it. Both absolute and without `..`. */
export function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}

/** All of the above that is on this machine. */
export async function readablePaths(): Promise<string[]> {
  const settings = [...FILES, ...LIVE_FILES, ...(await settingFolders())].map((name) => join(ETC, name));
  return await existing([...SYSTEM, ...settings]);
}

/**
 * What of this machine functions see behind a wall. Every mount makes a start slower, so the small files of `/etc` are
 * copied into one folder, once.
 * @param scratch is made anew for them; with no room for that, what an earlier start has left there serves as well, or
 * each of them is shown by itself
 */
export async function prepareShown(scratch: string): Promise<Shown[]> {
  const live = await existing(LIVE_FILES.map((name) => join(ETC, name)));
  const folders = await existing((await settingFolders()).map((name) => join(ETC, name)));
  const draft = `${scratch}.new`;
  try {
    await removeTree(draft);
    await layOut(draft, live, folders);
    await removeTree(scratch);
    await rename(draft, scratch);
  } catch (error) {
    await removeTree(draft);
    if (!isOutOfSpace(error)) throw error;
  }
  const gathered = existsSync(scratch);
  const files = gathered ? [] : await existing(FILES.map((name) => join(ETC, name)));
  const binds = [...files, ...live, ...folders].map((path): Shown => ({ kind: "bind", path, from: path }));
  const system = (await Promise.all(SYSTEM.map(systemPart))).flat();
  return [...system, ...(gathered ? [{ kind: "bind", path: ETC, from: scratch } as const] : []), ...binds];
}

async function layOut(folder: string, live: readonly string[], folders: readonly string[]): Promise<void> {
  await ensureFolder(folder);
  for (const name of FILES) await copySetting(name, folder);
  // What they are mounted on.
  for (const path of live) await writeFile(join(folder, path.slice(ETC.length)), "");
  for (const path of folders) await mkdir(join(folder, path.slice(ETC.length)), { recursive: true });
}

async function settingFolders(): Promise<string[]> {
  const names = await readdir(ETC).catch(() => []);
  return [...FOLDERS, ...names.filter((name) => VERSIONED.test(name))];
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)));
  return paths.filter((_, index) => found[index] !== undefined);
}

async function systemPart(path: string): Promise<Shown[]> {
  try {
    const isLink = (await lstat(path)).isSymbolicLink();
    return [isLink ? { kind: "link", path, to: await readlink(path) } : { kind: "bind", path, from: path }];
  } catch {
    return []; // not on this machine
  }
}

async function copySetting(name: string, scratch: string): Promise<void> {
  const [path, copy] = [join(ETC, name), join(scratch, name)];
  try {
    await mkdir(dirname(copy), { recursive: true });
    const target = (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined;
    // A link into what is shown stays one; any other becomes what it points to.
    if (target !== undefined && SYSTEM.some((folder) => isWithin(folder, resolve(ETC, target)))) {
      await symlink(target, copy);
    } else await copyFile(await realpath(path), copy, constants.COPYFILE_EXCL);
  } catch (error) {
    if (isOutOfSpace(error)) throw error;
    // Not on this machine, a link to nothing, or not for us to read: programs do without.
  }
}
