import type { EnvReader } from "../../kit/env.ts";
import { oneOf, parseBoolean, parseDuration, parsePort, parseText } from "../../kit/parse.ts";
import { CALL_LOG_MODES, type CallLogMode } from "../ui/live/call-log.ts";

/** Where the dashboard is, and how long people stay signed in. */
export interface UiConfig {
  readonly on: boolean;
  readonly readOnly: boolean;
  /** Of its own; absent at the port of the gateway, beside functions. */
  readonly port: number | undefined;
  /** For that port; the gateway's when absent. */
  readonly bindAddress: string | undefined;
  /** In milliseconds. */
  readonly sessionIdleMs: number;
  readonly sessionMaxMs: number;
  /** When the latest calls are kept. */
  readonly calls: CallLogMode;
  /** Of a store of functions beside our own; absent asks none. */
  readonly storeUrl: string | undefined;
}

/** OpenFaaS's. */
const STORE = "https://raw.githubusercontent.com/openfaas/store/master/functions.json";

export function readUiConfig(read: EnvReader): UiConfig {
  return {
    on: (read.optional("ui", oneOf("on", "off")) ?? "on") === "on",
    readOnly: read.optional("ui_read_only", parseBoolean) ?? false,
    port: read.optional("ui_port", parsePort),
    bindAddress: read.optional("ui_bind_address", parseText),
    sessionIdleMs: read.optional("ui_session_idle", parseDuration) ?? 3600_000,
    sessionMaxMs: read.optional("ui_session_max", parseDuration) ?? 8 * 3600_000,
    calls: read.optional("ui_calls", oneOf<CallLogMode>(...CALL_LOG_MODES)) ?? "asked",
    storeUrl: storeUrlOf(read.optional("ui_store", parseStore)),
  };
}

function parseStore(text: string): string {
  if (text === "own") return text;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") throw new Error("must be own, or an http or https URL");
  return url.href;
}

function storeUrlOf(given: string | undefined): string | undefined {
  return given === "own" ? undefined : (given ?? STORE);
}
