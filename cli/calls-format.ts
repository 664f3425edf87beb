import type { DecodedCall, DecodedCallDetail, DecodedCalls } from "../contract/ui/decode-calls.ts";
import { printableLine } from "./printable.ts";
import { formatTable } from "./table.ts";

const millis = (ms: number) => (ms < 1000 ? `${Math.round(ms * 10) / 10}ms` : `${Math.round(ms / 100) / 10}s`);
const bytes = (count: number | undefined) => (count === undefined ? undefined : `${count} bytes`);
const time = (at: number) => new Date(at).toISOString();

function statusOf({ status, error }: Pick<DecodedCall, "status" | "error">): string {
  return [status === 0 ? "none" : String(status), error].filter(Boolean).join(" ");
}

function howOf({ cold, asynchronous, event }: DecodedCall): string {
  return [cold && "cold", asynchronous && "queue", event && "event"].filter(Boolean).join(",") || "-";
}

export function formatKeptCalls({ calls, since }: DecodedCalls): string {
  const kept = `Calls are kept since ${time(since)}: while somebody asks for them, and for a while after.\n`;
  if (calls.length === 0) return `No calls.\n${kept}`;
  const head = ["TIME", "STATUS", "TOOK", "HOW", "VERSION", "REQUEST", "ID"];
  const rows = calls.map((call) => [
    time(call.at),
    statusOf(call),
    millis(call.durationMs),
    howOf(call),
    call.version ?? "-",
    `${call.method} ${call.path}`,
    call.id,
  ]);
  return formatTable([head, ...rows]) + kept;
}

export function formatKeptCall(call: DecodedCallDetail): string {
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["Id", call.id],
    ["Call id", call.callId],
    ["Function", `${call.function}.${call.namespace}`],
    ["Time", time(call.at)],
    ["Request", `${call.method} ${call.path}`],
    ["Status", statusOf(call)],
    ["Took", millis(call.durationMs)],
    ["How", howOf(call)],
    ["Version", call.version],
    ["Replica", call.replica],
    ["Trace", call.traceId],
    ["Request body", bytes(call.requestBytes)],
    ["Answer", bytes(call.responseBytes)],
  ];
  const known = facts.filter((fact): fact is readonly [string, string] => fact[1] !== undefined);
  const lines = known.map(([name, value]) => `${`${name}:`.padEnd(14)}${printableLine(value)}\n`);
  return [
    lines.join(""),
    section(
      "Phases",
      (call.phases ?? []).map(({ name, ms }) => [name, millis(ms)]),
    ),
    section(
      "The start that it waited for",
      (call.startup ?? []).map(({ name, ms }) => [name, millis(ms)]),
    ),
    section("Request headers", Object.entries(call.requestHeaders ?? {})),
    section("Response headers", Object.entries(call.responseHeaders ?? {})),
  ].join("");
}

function section(title: string, rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? "" : `\n${title}\n${formatTable(rows, "  ")}`;
}
