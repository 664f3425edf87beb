import type { EnvReader } from "../../kit/env.ts";
import { oneOf, parseBoolean, parseDuration, parsePort, parseText } from "../../kit/parse.ts";

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
}

export function readUiConfig(read: EnvReader): UiConfig {
  return {
    on: (read.optional("ui", oneOf("on", "off")) ?? "on") === "on",
    readOnly: read.optional("ui_read_only", parseBoolean) ?? false,
    port: read.optional("ui_port", parsePort),
    bindAddress: read.optional("ui_bind_address", parseText),
    sessionIdleMs: read.optional("ui_session_idle", parseDuration) ?? 3600_000,
    sessionMaxMs: read.optional("ui_session_max", parseDuration) ?? 8 * 3600_000,
  };
}
