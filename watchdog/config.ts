import { tmpdir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { type AnnounceConfig, readAnnounce } from "./announce-config.ts";
import { type AuthConfig, readAuth } from "./auth/auth-config.ts";
import { type ConfigError, type Env, type EnvReader, readEnv } from "./env.ts";
import {
  LONGEST_TIMER_MS,
  parseBool,
  parseCommand,
  parseCount,
  parseDuration,
  parseLimit,
  parsePath,
  parsePort,
  parseTrue,
  parseTrueOr1,
  parseUpstream,
  type Upstream,
} from "./parse.ts";

export type Command = readonly [program: string, ...args: string[]];

/** How the function is run; `kind` is the value of `mode`. */
export type ModeConfig =
  | HttpConfig
  | { readonly kind: "streaming" | "serializing"; readonly command: Command; readonly contentType: string }
  | ClassicConfig
  | { readonly kind: "static"; readonly folder: string }
  | { readonly kind: "inproc"; readonly handler: string };

export interface HttpConfig {
  readonly kind: "http";
  readonly command: Command;
  readonly upstream: Upstream;
  /** The process that listens at `upstream` serves the function, even if the watchdog has not started it. */
  readonly anyUpstream: boolean;
  readonly bufferBody: boolean;
}

export interface ClassicConfig {
  readonly kind: "classic";
  readonly command: Command;
  /** "" echoes the request's type, or sniffs. */
  readonly contentType: string;
  /** stderr is part of the answer. */
  readonly combineOutput: boolean;
  readonly cgiHeaders: boolean;
  /** The request goes to stdin as JSON, headers included. */
  readonly marshalRequest: boolean;
  readonly writeDebug: boolean;
  readonly debugHeaders: boolean;
}

/** Durations are in milliseconds; 0 turns a limit off unless it says otherwise. */
export interface WatchdogConfig {
  readonly mode: ModeConfig;
  readonly port: number;
  readonly metricsPort: number;
  /** Path of a Unix socket to listen on instead of the port. */
  readonly listenSocket: string | undefined;
  /** Undefined listens on every interface. */
  readonly bindAddress: string | undefined;
  /** Longest time to receive a request, body included. */
  readonly readTimeoutMs: number;
  /** Longest time to answer, and longest drain; never 0. */
  readonly writeTimeoutMs: number;
  /** Longest time the function may work on one request. */
  readonly execTimeoutMs: number;
  /** How long traffic is still served after SIGTERM, so that routers can notice. */
  readonly healthcheckIntervalMs: number;
  /** A connection that has changed its protocol is closed when nothing has moved on it for so long. */
  readonly upgradeIdleMs: number;
  readonly maxInflight: number;
  readonly maxBodyBytes: number;
  readonly readyPath: string | undefined;
  readonly lockFile: string;
  readonly suppressLock: boolean;
  readonly prefixLogs: boolean;
  /** Longest log line; longer ones are split. */
  readonly logLineBytes: number;
  readonly accessLog: boolean;
  readonly logCallId: boolean;
  /** Undefined where nobody wants to know that this replica listens. */
  readonly announce: AnnounceConfig | undefined;
  /** Undefined where anybody may call the function. */
  readonly auth: AuthConfig | undefined;
  /** Lines about settings that were overlooked. */
  readonly notes: readonly string[];
}

const MODES = ["http", "streaming", "serializing", "static", "classic", "inproc"] as const;
type ModeName = (typeof MODES)[number];

/** What `log_buffer_size=-1` ("unlimited") means: no buffer of ours is without a limit. */
const LONGEST_LOG_LINE_BYTES = 16 * 1024 * 1024;

/**
 * The watchdog's settings, under OpenFaaS's names. What its watchdogs overlook is overlooked here too, with a note.
 * @throws {ConfigError} naming every bad variable
 */
export function loadWatchdogConfig(env: Env): WatchdogConfig {
  return readEnv(env, (read) => {
    const modeName = read.optional("mode", parseMode) ?? "streaming";
    const isClassic = modeName === "classic";
    const limit = (name: string) => read.lenient(name, parseLimit, undefined);
    const writeTimeoutMs = (isClassic ? limit("write_timeout") : readWriteTimeout(read)) ?? 30_000;
    const bindAddress = read.optional("bind_address", String);
    const logCallId = either("log_call_id", "log_callid", (name) => read.lenient(name, parseTrueOr1, false)) ?? false;
    return {
      mode: readMode(read, modeName),
      port: (isClassic ? read.lenient("port", parsePort, 8080) : read.optional("port", parsePort)) ?? 8080,
      metricsPort: read.optional("metrics_port", parsePort) ?? 8081,
      listenSocket: read.optional("listen_socket", parseAbsolute),
      bindAddress,
      readTimeoutMs: limit("read_timeout") ?? 30_000,
      writeTimeoutMs: writeTimeoutMs || LONGEST_TIMER_MS,
      execTimeoutMs: limit("exec_timeout") ?? (isClassic ? 0 : 30_000),
      healthcheckIntervalMs: limit("healthcheck_interval") ?? writeTimeoutMs,
      upgradeIdleMs: read.optional("upgrade_idle_timeout", parseDuration) ?? 0,
      maxInflight: read.lenient("max_inflight", parseCount, 0) ?? 0,
      maxBodyBytes: read.optional("max_body_bytes", parseCount) ?? 64 * 1024 * 1024,
      readyPath: read.optional("ready_path", parsePath),
      lockFile: join(read.optional("TMPDIR", parseAbsolute) ?? tmpdir(), ".lock"),
      suppressLock: read.lenient("suppress_lock", isClassic ? parseTrue : parseTrueOr1, false) ?? false,
      prefixLogs: read.lenient("prefix_logs", parseBool, true) ?? true,
      logLineBytes: read.optional("log_buffer_size", parseLogLine) ?? 65_536,
      // Who asks for an id in the lines asks for the lines.
      accessLog: (read.optional("access_log", parseBool) ?? false) || logCallId,
      logCallId,
      announce: readAnnounce(read, bindAddress),
      auth: readAuth(read),
      notes: read.notes,
    };
  });
}

/** Exit code for bad settings: that of OpenFaaS's watchdogs, which panic over some of them. */
export function exitCodeOf({ variables }: ConfigError, env: Env): number {
  const missesProgram = env.mode === "classic" && variables.includes("fprocess");
  return missesProgram || variables.includes("mode") ? 2 : 1;
}

function readWriteTimeout(read: EnvReader): number | undefined {
  const ms = read.lenient("write_timeout", parseLimit, undefined);
  return ms === 0 ? read.required("write_timeout", refuseZero) : ms;
}

function refuseZero(): number {
  throw new Error("must be longer than 0");
}

function readMode(read: EnvReader, kind: ModeName): ModeConfig {
  if (kind === "static") return { kind, folder: read.optional("static_path", resolve) ?? "/home/app/public" };
  if (kind === "inproc") return { kind, handler: read.required("inproc_handler", String) };
  const command =
    read.optional("function_process", parseCommand) ?? (read.required("fprocess", parseCommand) as Command);
  switch (kind) {
    case "http": {
      const bufferBody =
        either("http_buffer_req_body", "buffer_http", (name) => read.lenient(name, parseTrueOr1, false)) ?? false;
      const upstream =
        read.optional("http_upstream_url", parseUpstream) ?? (read.required("upstream_url", parseUpstream) as Upstream);
      const anyUpstream = read.optional("upstream_external", parseBool) ?? false;
      return { kind, command, upstream, anyUpstream, bufferBody };
    }
    case "classic": {
      const yes = (name: string) => read.lenient(name, parseTrue, false);
      return {
        kind,
        command,
        contentType: read.optional("content_type", parseHeaderValue) ?? "",
        combineOutput: yes("combine_output") ?? true,
        cgiHeaders: yes("cgi_headers") ?? true,
        marshalRequest: yes("marshal_request") ?? false,
        writeDebug: yes("write_debug") ?? false,
        debugHeaders: yes("debug_headers") ?? false,
      };
    }
    default: {
      const contentType = read.optional("content_type", parseHeaderValue) ?? "application/octet-stream";
      return { kind, command, contentType };
    }
  }
}

/** The first of two spellings that is set. Both are read, so that neither hides a mistake in the other. */
function either<T>(name: string, alias: string, read: (name: string) => T | undefined): T | undefined {
  const first = read(name);
  const second = read(alias);
  return first ?? second;
}

function parseMode(text: string): ModeName {
  const mode = MODES.find((name) => name === text);
  if (mode === undefined) throw new Error(`must be one of ${MODES.join(", ")}`);
  return mode;
}

function parseHeaderValue(text: string): string {
  if (!/^[\x20-\x7e]+$/.test(text)) throw new Error("must be printable ASCII, as it becomes a header");
  return text;
}

function parseAbsolute(text: string): string {
  if (!isAbsolute(text)) throw new Error("must be an absolute path");
  return text;
}

function parseLogLine(text: string): number {
  if (/^-\d+$/.test(text)) return LONGEST_LOG_LINE_BYTES;
  return Math.min(Math.max(parseCount(text), 1), LONGEST_LOG_LINE_BYTES);
}
