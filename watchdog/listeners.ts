import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from "node:fs";
import { isIPv4 } from "node:net";
import { basename } from "node:path";

/** A socket that accepts connections. */
interface Listener {
  /** As the kernel prints it: hexadecimal, in the machine's byte order. */
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

const LISTEN = "0A";
const ANY_V4 = "00000000";
const ANY_V6 = "0".repeat(32);
const LOOPBACK_V6 = "00000000000000000000000001000000";
const MAPPED = "0000000000000000FFFF0000";

/** All sockets of this network that accept connections; undefined where the system does not tell. */
function readListeners(): Listener[] | undefined {
  try {
    return ["tcp", "tcp6"].flatMap(readTable);
  } catch {
    return undefined;
  }
}

/** The kernel lists those that listen before all others, of which there may be thousands: the rest is not even made. */
function readTable(name: string): Listener[] {
  const found: Listener[] = [];
  const file = openTable(name);
  if (file === undefined) return found;
  try {
    const buffer = Buffer.allocUnsafe(TABLE_CHUNK_BYTES);
    let rest = "";
    for (let read = -1; read !== 0; ) {
      read = readSync(file, buffer);
      const lines = (rest + buffer.toString("latin1", 0, read)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [, local, , state, , , , , , inode] = line.trim().split(/\s+/, 10);
        if (local === "local_address" || local === undefined || inode === undefined) continue;
        if (state !== LISTEN) return found;
        const [address = "", port = ""] = local.split(":");
        found.push({ address, port: Number.parseInt(port, 16), inode });
      }
    }
    return found;
  } finally {
    closeSync(file);
  }
}

const TABLE_CHUNK_BYTES = 4096;

function openTable(name: string): number | undefined {
  try {
    return openSync(`/proc/self/net/${name}`, "r");
  } catch (error) {
    if (name === "tcp6") return undefined; // a kernel without IPv6
    throw error;
  }
}

/** Whether a host is this machine under one of the names that only it has. */
export function isLocalListener(host: string): boolean {
  return (
    host === "localhost" || host === "::1" || host === "0.0.0.0" || host === "::" || /^127\.\d+\.\d+\.\d+$/.test(host)
  );
}

function kernelForm(v4: string): string {
  const bytes = v4.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return bytes.reverse().join("").toUpperCase();
}

/** Addresses at which connections to `host` arrive; those of an earlier group leave nothing to the later ones. */
function addressGroups(host: string): readonly (readonly string[])[] {
  if (isIPv4(host) && host !== "0.0.0.0") {
    const exact = kernelForm(host);
    return [[exact, MAPPED + exact], [ANY_V4], [ANY_V6]];
  }
  if (host === "::1") return [[LOOPBACK_V6], [ANY_V6]];
  const loopback = kernelForm("127.0.0.1");
  return [
    [loopback, MAPPED + loopback, LOOPBACK_V6],
    [ANY_V4, ANY_V6],
  ];
}

/** Whose sockets accept connections to a port of this machine. */
export type PortOwner =
  | { readonly kind: "nobody" }
  | { readonly kind: "ours" }
  /** `holder` is undefined when it cannot be seen from here. */
  | { readonly kind: "others"; readonly holder: Process | undefined }
  | { readonly kind: "unknown" };

export interface Process {
  readonly pid: number;
  /** Name of its program; its arguments may hold what is nobody's business. */
  readonly program: string;
}

/**
 * Finds out who accepts connections to a port of this machine.
 * @param ours processes that count as ours
 */
export function findPortOwner(host: string, port: number, ours: readonly number[]): PortOwner {
  const listeners = readListeners();
  if (listeners === undefined) return { kind: "unknown" };
  const there = listeners.filter((listener) => listener.port === port);
  for (const addresses of addressGroups(host)) {
    const reached = there.filter(({ address }) => addresses.includes(address));
    if (reached.length > 0) return judge(reached, ours);
  }
  return { kind: "nobody" };
}

/** Several sockets share a port where all have asked for it, and each gets a part of the connections. */
function judge(reached: readonly Listener[], ours: readonly number[]): PortOwner {
  const { sockets, complete } = socketsOf(ours);
  const foreign = reached.filter(({ inode }) => !sockets.has(inode));
  if (foreign.length === 0) return { kind: "ours" };
  if (!complete) return { kind: "unknown" };
  const holder = findHolder(new Set(foreign.map(({ inode }) => inode)));
  return { kind: "others", holder };
}

/** Ports at which processes accept connections. */
export function portsOf(pids: readonly number[]): number[] {
  const { sockets } = socketsOf(pids);
  const ports = (readListeners() ?? []).filter(({ inode }) => sockets.has(inode)).map(({ port }) => port);
  return [...new Set(ports)].sort((a, b) => a - b);
}

/** Inodes of the sockets that processes hold; incomplete when one of them may not be looked at. */
function socketsOf(pids: readonly number[]): { readonly sockets: ReadonlySet<string>; readonly complete: boolean } {
  const sockets = new Set<string>();
  let complete = true;
  for (const pid of pids) {
    try {
      for (const inode of openSockets(pid)) sockets.add(inode);
    } catch {
      if (isRunning(pid)) complete = false; // as somebody else, and not to be looked at
    }
  }
  return { sockets, complete };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function openSockets(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${fd}`))?.[1] ?? [];
    } catch {
      return []; // closed meanwhile
    }
  });
}

function findHolder(inodes: ReadonlySet<string>): Process | undefined {
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      if (openSockets(pid).some((inode) => inodes.has(inode))) return { pid, program: programOf(pid) };
    } catch {
      // It has ended, or is not ours to look at.
    }
  }
  return undefined;
}

function programOf(pid: number): string {
  return basename(readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0", 1)[0] ?? "");
}
