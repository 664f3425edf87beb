import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { type AnnounceConfig, readAnnounce } from "./announce-config.ts";
import { type Env, type EnvReader, readEnv } from "./env.ts";
import {
  parseBool,
  parseCommand,
  parseCount,
  parseDuration,
  parsePath,
  parsePort,
  parsePositiveDuration,
  parseUpstream,
  type Upstream,
} from "./parse.ts";

export type Command = readonly [program: string, ...args: string[]];

/** How the function is run; `kind` is the value of `mode`. */
export type ModeConfig =
  | HttpConfig
  | { readonly kind: "streaming" | "serializing"; readonly command: Command; readonly contentType: string }
  | ClassicConfig
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
}

const MODES = ["http", "streaming", "serializing", "classic", "inproc"] as const;
type ModeName = (typeof MODES)[number];

/** What `log_buffer_size=-1` ("unlimited") means: no buffer of ours is without a limit. */
const LONGEST_LOG_LINE_BYTES = 16 * 1024 * 1024;

/**
 * The watchdog's settings, under OpenFaaS's names.
 * @throws {ConfigError} naming every bad variable
 */
export function loadWatchdogConfig(env: Env): WatchdogConfig {
  return readEnv(env, (read) => {
    const modeName = read.optional("mode", parseMode) ?? "streaming";
    const writeTimeoutMs = read.optional("write_timeout", parsePositiveDuration) ?? 30_000;
    const bindAddress = read.optional("bind_address", String);
    for (const name of ["jwt_auth", "jwt_auth_local"]) read.optional(name, refuseTrue);
    return {
      mode: readMode(read, modeName),
      port: read.optional("port", parsePort) ?? 8080,
      metricsPort: read.optional("metrics_port", parsePort) ?? 8081,
      listenSocket: read.optional("listen_socket", parseAbsolute),
      bindAddress,
      readTimeoutMs: read.optional("read_timeout", parseDuration) ?? 30_000,
      writeTimeoutMs,
      execTimeoutMs: read.optional("exec_timeout", parseDuration) ?? (modeName === "classic" ? 0 : 30_000),
      healthcheckIntervalMs: read.optional("healthcheck_interval", parseDuration) ?? writeTimeoutMs,
      upgradeIdleMs: read.optional("upgrade_idle_timeout", parseDuration) ?? 0,
      maxInflight: read.optional("max_inflight", parseCount) ?? 0,
      maxBodyBytes: read.optional("max_body_bytes", parseCount) ?? 64 * 1024 * 1024,
      readyPath: read.optional("ready_path", parsePath),
      lockFile: join(read.optional("TMPDIR", parseAbsolute) ?? tmpdir(), ".lock"),
      suppressLock: read.optional("suppress_lock", parseBool) ?? false,
      prefixLogs: read.optional("prefix_logs", parseBool) ?? true,
      logLineBytes: read.optional("log_buffer_size", parseLogLine) ?? 65_536,
      accessLog: read.optional("access_log", parseBool) ?? false,
      logCallId: either(read, "log_call_id", "log_callid", parseBool) ?? false,
      announce: readAnnounce(read, bindAddress),
    };
  });
}

function readMode(read: EnvReader, kind: ModeName): ModeConfig {
  if (kind === "inproc") return { kind, handler: read.required("inproc_handler", String) };
  const command =
    read.optional("function_process", parseCommand) ?? (read.required("fprocess", parseCommand) as Command);
  switch (kind) {
    case "http": {
      const bufferBody = either(read, "http_buffer_req_body", "buffer_http", parseBool) ?? false;
      const upstream =
        read.optional("http_upstream_url", parseUpstream) ?? (read.required("upstream_url", parseUpstream) as Upstream);
      const anyUpstream = read.optional("upstream_external", parseBool) ?? false;
      return { kind, command, upstream, anyUpstream, bufferBody };
    }
    case "classic":
      return {
        kind,
        command,
        contentType: read.optional("content_type", parseHeaderValue) ?? "",
        combineOutput: read.optional("combine_output", parseBool) ?? true,
        cgiHeaders: read.optional("cgi_headers", parseBool) ?? true,
        marshalRequest: read.optional("marshal_request", parseBool) ?? false,
        writeDebug: read.optional("write_debug", parseBool) ?? false,
        debugHeaders: read.optional("debug_headers", parseBool) ?? false,
      };
    default: {
      const contentType = read.optional("content_type", parseHeaderValue) ?? "application/octet-stream";
      return { kind, command, contentType };
    }
  }
}

/** The first of two spellings that is set. Both are parsed, so that neither hides a mistake in the other. */
function either<T>(read: EnvReader, name: string, alias: string, parse: (text: string) => T): T | undefined {
  const first = read.optional(name, parse);
  const second = read.optional(alias, parse);
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

/** Ignoring a request for authentication would open a function that its owner believes closed. */
function refuseTrue(text: string): boolean {
  if (parseBool(text)) throw new Error("is not supported by this watchdog, and a function is not served without it");
  return false;
}
