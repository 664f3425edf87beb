import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";

/** What each open descriptor of a process leads to, such as `socket:[123]` or a path. Linux only. */
export async function descriptorsOf(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const links = (await readdir(folder)).map((name) => readlink(join(folder, name)).catch(() => undefined));
  return (await Promise.all(links)).filter((link) => link !== undefined);
}

/** `links` with their ports where they are connections. */
export async function explainDescriptors(pid: number, links: readonly string[]): Promise<string[]> {
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`/proc/${pid}/net/${name}`, "utf8").catch(() => "")),
  );
  const byInode = new Map<string, string>();
  for (const line of tables.join("\n").split("\n")) {
    const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
    if (inode !== undefined)
      byInode.set(`socket:[${inode}]`, `tcp ${portOf(local)} → ${portOf(remote)}, state ${state}`);
  }
  return links.map((link) => byInode.get(link) ?? link);
}

const portOf = (address = "") => Number.parseInt(address.split(":")[1] ?? "", 16);
