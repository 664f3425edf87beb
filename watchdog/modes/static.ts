import { constants, type Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { sniffContentType } from "../../http/sniff.ts";
import type { Deadlines } from "../deadlines.ts";
import { describeThrown } from "../describe-thrown.ts";
import { failCall } from "../fail-call.ts";
import type { TrackedResponse } from "../tracked-response.ts";
import type { Mode } from "./mode.ts";
import {
  cleanPath,
  decideAnswer,
  decodePath,
  encodePath,
  escapeHtml,
  renderListing,
  typeByName,
} from "./static/rules.ts";
import { SMALL_BYTES, SmallFiles } from "./static/small-files.ts";

export interface StaticDeps {
  readonly deadlines: Deadlines;
  readonly print: (message: string) => void;
  readonly writeTimeoutMs: number;
}

const { O_NONBLOCK, O_RDONLY } = constants;
const INDEX = "index.html";
const CHUNK_BYTES = 64 * 1024;
const SNIFF_BYTES = 512;

/** Serves the files of a folder; there is no function. */
export function openStaticMode({ folder }: { readonly folder: string }, deps: StaticDeps): Mode {
  const small = new SmallFiles();
  return {
    ready: true,
    whenReady: () => Promise.resolve(),
    handle(req, res) {
      res.onExpire = cut;
      deps.deadlines.start(res, deps.writeTimeoutMs, res.startedAt);
      res.hold();
      serve(folder, small, req, res)
        .catch((error: unknown) => {
          deps.print(`File for ${req.url}: ${describeThrown(error)}`);
          failCall(res);
        })
        .finally(() => res.release());
    },
    close: () => Promise.resolve(),
    kill: () => {},
  };
}

function cut(res: TrackedResponse): void {
  res.destroy();
}

async function serve(folder: string, small: SmallFiles, req: IncomingMessage, res: TrackedResponse): Promise<void> {
  const url = req.url as string;
  const queryAt = url.indexOf("?");
  const path = decodePath(queryAt === -1 ? url : url.slice(0, queryAt));
  const query = queryAt === -1 ? "" : url.slice(queryAt);
  if (path === undefined) return plain(res, 400, "400 Bad Request");
  const clean = cleanPath(path);
  if (clean !== path) return redirect(res, encodePath(clean) + query);
  if (path.endsWith(`/${INDEX}`)) return redirect(res, `./${query}`);
  if (small.has(path) && (await sendKept(folder, path, small, req, res))) return;
  let file: FileHandle | undefined;
  try {
    // A pipe without a writer would be waited for.
    file = await openFile(folder, path, O_RDONLY | O_NONBLOCK);
    const stats = await file.stat();
    const last = encodePath(path.slice(path.replace(/\/$/, "").lastIndexOf("/") + 1).replace(/\/$/, ""));
    if (stats.isDirectory()) {
      if (!path.endsWith("/")) return redirect(res, `${asRelative(last)}/${query}`);
      await serveFolder(folder, path, stats, req, res);
    } else if (!stats.isFile()) plain(res, 404, "404 page not found");
    else if (path.endsWith("/")) redirect(res, `../${last}${query}`);
    else if (stats.size > SMALL_BYTES) await sendFile(file, stats, path, req, res);
    else {
      const bytes = await readSmall(file, stats.size);
      small.keep(path, stats, bytes, Date.now());
      sendBytes(bytes, stats, path, req, res);
    }
  } catch (error) {
    refuseFor(error as NodeJS.ErrnoException, res);
  } finally {
    await file?.close();
  }
}

/** Asks the system for nothing but whether the file is the same. @returns false when it is not */
async function sendKept(
  folder: string,
  path: string,
  small: SmallFiles,
  req: IncomingMessage,
  res: TrackedResponse,
): Promise<boolean> {
  const { stat } = process.getBuiltinModule("node:fs/promises");
  const stats = await stat(inFolder(folder, path)).catch(() => undefined);
  const bytes = stats && small.get(path, stats);
  if (stats === undefined || bytes === undefined) {
    small.forget(path);
    return false;
  }
  sendBytes(bytes, stats, path, req, res);
  return true;
}

async function readSmall(file: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(size);
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(bytes, at, size - at, at);
    if (bytesRead === 0) return bytes.subarray(0, at);
    at += bytesRead;
  }
  return bytes;
}

/** A file that has become shorter than `stats` tells cuts the answer. */
function sendBytes(bytes: Buffer, stats: Stats, path: string, req: IncomingMessage, res: TrackedResponse): void {
  const part = beginFile(stats, () => typeByName(path) ?? sniffContentType(bytes.subarray(0, SNIFF_BYTES)), req, res);
  if (part === undefined) return;
  if (bytes.length < stats.size) res.destroy();
  else if (req.method === "HEAD") res.end();
  else res.end(bytes.subarray(part.first, part.last + 1));
}

/** A first part with a colon would be taken for a scheme. */
function asRelative(part: string): string {
  return part.includes(":") ? `./${part}` : part;
}

/** @param path decoded, each character a byte */
async function openFile(folder: string, path: string, flags: number): Promise<FileHandle> {
  const { open } = process.getBuiltinModule("node:fs/promises");
  // A file followed by a slash is none to the system, but has an answer of its own here.
  return await open(inFolder(folder, path.replace(/\/$/, "")), flags);
}

function inFolder(folder: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(folder), Buffer.from(path, "latin1")]);
}

async function serveFolder(
  folder: string,
  path: string,
  stats: Stats,
  req: IncomingMessage,
  res: TrackedResponse,
): Promise<void> {
  const index = await openFile(folder, path + INDEX, O_RDONLY | O_NONBLOCK).catch(() => undefined);
  try {
    const indexStats = await index?.stat();
    if (index !== undefined && indexStats?.isFile()) return await sendFile(index, indexStats, INDEX, req, res);
  } finally {
    await index?.close();
  }
  const { readdir } = process.getBuiltinModule("node:fs/promises");
  if (decideAnswer(req.method as string, req.headers, factsOf(stats)).kind === "notModified") {
    return answer(res, 304, { "Last-Modified": stats.mtime.toUTCString() });
  }
  const entries = await readdir(inFolder(folder, path), { withFileTypes: true, encoding: "latin1" as BufferEncoding });
  const page = renderListing(entries.map((entry) => entry.name + (entry.isDirectory() ? "/" : "")));
  answer(res, 200, { "Content-Type": HTML, "Last-Modified": stats.mtime.toUTCString() }, page);
}

const HTML = "text/html; charset=utf-8";

function factsOf({ size, mtimeMs }: Stats) {
  return { bytes: size, changedAt: Math.floor(mtimeMs / 1000) };
}

async function sendFile(
  file: FileHandle,
  stats: Stats,
  path: string,
  req: IncomingMessage,
  res: TrackedResponse,
): Promise<void> {
  const type = typeByName(path) ?? (await sniff(file));
  const part = beginFile(stats, () => type, req, res);
  if (part === undefined) return;
  if (req.method !== "HEAD") await copy(file, part.first, part.last, res);
  res.end();
}

/** Sends the head of an answer with a file. @returns which part of the file is to follow; undefined when that is all */
function beginFile(
  stats: Stats,
  typeOf: () => string,
  req: IncomingMessage,
  res: TrackedResponse,
): { readonly first: number; readonly last: number } | undefined {
  const facts = factsOf(stats);
  const decision = decideAnswer(req.method as string, req.headers, facts);
  const changed = { "Last-Modified": stats.mtime.toUTCString() };
  if (decision.kind === "notModified") {
    answer(res, 304, changed);
    return undefined;
  }
  if (decision.kind === "changed") {
    answer(res, 412, changed, "");
    return undefined;
  }
  if (decision.kind === "unsatisfiable") {
    plain(res, 416, "invalid range: failed to overlap", { "Content-Range": `bytes */${facts.bytes}` });
    return undefined;
  }
  const [first, last] = decision.kind === "part" ? [decision.first, decision.last] : [0, facts.bytes - 1];
  const part = decision.kind === "part" && { "Content-Range": `bytes ${first}-${last}/${facts.bytes}` };
  const headers = { ...changed, "Accept-Ranges": "bytes", "Content-Type": typeOf() };
  res.writeHead(part ? 206 : 200, { ...headers, ...part, "Content-Length": last - first + 1 });
  return { first, last };
}

async function sniff(file: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(SNIFF_BYTES), 0, SNIFF_BYTES, 0);
  return sniffContentType(buffer.subarray(0, bytesRead));
}

/** Sends a part of a file at the caller's pace. A file that has become shorter cuts the answer. */
async function copy(file: FileHandle, first: number, last: number, res: TrackedResponse): Promise<void> {
  for (let at = first; at <= last; ) {
    const wanted = Math.min(CHUNK_BYTES, last - at + 1);
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, at);
    if (res.destroyed) return;
    if (bytesRead === 0) {
      res.destroy();
      return;
    }
    at += bytesRead;
    if (!res.write(buffer.subarray(0, bytesRead))) await drained(res);
  }
}

function drained(res: TrackedResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      res.removeListener("drain", done);
      res.removeListener("close", done);
      resolve();
    };
    res.on("drain", done);
    res.on("close", done);
  });
}

function refuseFor(error: NodeJS.ErrnoException, res: TrackedResponse): void {
  const { code } = error;
  if (code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG" || code === "ELOOP" || code === "ENXIO") {
    plain(res, 404, "404 page not found");
  } else if (code === "EACCES" || code === "EPERM") plain(res, 403, "403 Forbidden");
  else throw error;
}

function redirect(res: TrackedResponse, location: string): void {
  const page = `<a href="${escapeHtml(location)}">Moved Permanently</a>.\n\n`;
  answer(res, 301, { Location: location, "Content-Type": HTML }, page);
}

function plain(res: TrackedResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  const type = { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" };
  answer(res, status, { ...headers, ...type }, `${text}\n`);
}

function answer(res: TrackedResponse, status: number, headers: Record<string, string>, body?: string): void {
  if (res.headersSent || res.destroyed) return;
  res.writeHead(status, { ...headers, ...(body !== undefined && { "Content-Length": Buffer.byteLength(body) }) });
  res.end(body);
}
