import { isIP } from "node:net";
import type { EnvReader } from "./env.ts";
import { parsePort, parseUrl } from "./parse.ts";

const UNIX = "unix:";
/** What the system takes of a path, with the zero at its end. */
const MAX_PATH_BYTES = 107;
const HOST_NAME = /^[a-z0-9_]([-a-z0-9_.]{0,251}[a-z0-9_])?$/i;
const WITH_PORT = /^(?:\[([^\]]*)\]|([^:]*))(?::([^:]*))?$/;

export interface BindAddress {
  /** An address or a name of this machine, or `unix:` and the path of a socket. */
  readonly host: string;
  /** Where it was written with one. */
  readonly port?: number;
}

/**
 * Where a server listens: `127.0.0.1`, `::`, `fe80::1%eth0`, `[::1]:8080`, `unix:/run/faaslane.sock`.
 * @throws when it is none of these
 */
export function parseBindAddress(text: string): BindAddress {
  if (text.startsWith(UNIX)) return { host: UNIX + parseSocketPath(text.slice(UNIX.length)) };
  if (isIP(text) !== 0) return { host: text };
  const [, six, name, port] = WITH_PORT.exec(text) ?? [];
  const host = six ?? name ?? "";
  if (six === undefined ? isIP(host) === 0 && !HOST_NAME.test(host) : isIP(six) !== 6) {
    throw new Error("must be an address such as 127.0.0.1, :: or [::1]:8080, or unix: and the path of a socket");
  }
  return { host, ...(port !== undefined && { port: parsePort(port) }) };
}

/** Takes `///run/x` as `/run/x`, as some write the URL. */
export function parseSocketPath(text: string): string {
  const path = text.startsWith("///") ? text.slice(2) : text;
  if (!/^\/[^\0]*[^\0/]$/.test(path) || Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new Error(`must have an absolute path of at most ${MAX_PATH_BYTES} bytes after unix:`);
  }
  return path;
}

/** The path of the socket that is meant; undefined for an address. */
export function socketPathOf(host: string): string | undefined {
  return host.startsWith(UNIX) ? host.slice(UNIX.length) : undefined;
}

/** A URL of a server that listens there, with a host that can be dialled from this machine. */
export function urlOf(scheme: "http" | "https", host: string, port: number): string {
  if (socketPathOf(host) !== undefined) return host;
  if (host === "0.0.0.0" || host === "::") return `${scheme}://127.0.0.1:${port}`;
  // RFC 6874: the sign before a zone is escaped.
  return `${scheme}://${host.includes(":") ? `[${host.replace("%", "%25")}]` : host}:${port}`;
}

/** The permissions of a Unix socket, in octal digits. Whoever may write to it may connect. */
export function parseSocketMode(text: string): number {
  if (!/^0?[0-7]{3}$/.test(text)) throw new Error("must be permissions such as 0660");
  return Number.parseInt(text, 8);
}

export const DEFAULT_SOCKET_MODE = 0o660;

/** An http or https URL, or `unix:` and the path of a socket. @see {@link parseUrl} */
export function parseServerUrl(text: string): URL {
  if (!text.startsWith(UNIX)) return parseUrl(text);
  const path = parseSocketPath(text.slice(UNIX.length));
  return new URL(UNIX + path.split("/").map(encodeURIComponent).join("/"));
}

/** Reads `bind_address` and `port`, which may be written in one. */
export function readBindAddress(read: EnvReader): BindAddress {
  const port = read.optional("port", parsePort);
  const bind = read.optional("bind_address", (text) => {
    const given = parseBindAddress(text);
    if (port !== undefined && given.port !== undefined && given.port !== port) {
      throw new Error("must not have another port than the variable port");
    }
    return given;
  });
  return { host: "127.0.0.1", ...(port !== undefined && { port }), ...bind };
}

/** An address without a port, for servers that have a variable for it. */
export function parseBindHost(text: string): string {
  const { host, port } = parseBindAddress(text);
  if (port !== undefined) throw new Error("must be without a port, which is a variable of its own");
  return host;
}

/** Where other ports of a process listen whose main one is at `host`. */
export function hostBeside(host: string): string {
  return socketPathOf(host) === undefined ? host : "127.0.0.1";
}
