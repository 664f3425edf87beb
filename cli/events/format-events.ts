import { formatBytes } from "../../contract/bytes.ts";
import { formatDuration } from "../../contract/duration.ts";
import type { DeliveryReport, EventReport, EventSummary } from "../../contract/events/event-report.ts";
import { printable, printableLine } from "../printable.ts";
import { formatTable } from "../table.ts";

const HEAD = ["ARRIVED", "TYPE", "SOURCE", "ID", "STATE", "DELIVERIES", "DATA", "REF"];

/** @param more whether there are further ones */
export function formatEvents(items: readonly EventSummary[], more: boolean): string {
  const rows = items.map((event) => [...cellsOf(event), formatBytes(event.dataBytes), event.ref]);
  return formatTable([HEAD, ...rows]) + (more ? "There are more; --limit shows them.\n" : "");
}

/** An event as it comes, in one line. */
export function formatEventLine(event: EventSummary): string {
  return `${cellsOf(event).map(printableLine).join("  ")}\n`;
}

function cellsOf({ arrivedAt, type, source, id, state, counts }: EventSummary): string[] {
  return [arrivedAt, type, source, id, state, formatCounts(counts)];
}

function formatCounts(counts: EventSummary["counts"]): string {
  const all = Object.entries(counts).map(([state, count]) => `${count} ${state}`);
  return all.length === 0 ? "-" : all.join(", ");
}

/** All that is known of an event. */
export function formatEvent(event: EventReport): string {
  const known = ["specversion", "id", "source", "type"];
  const further = Object.entries(event.attributes).filter(([name]) => !known.includes(name));
  const facts: (readonly [string, string | undefined])[] = [
    ["Id", event.id],
    ["Type", event.type],
    ["Source", event.source],
    ["Ref", event.ref],
    ["Broker", `${event.broker}.${event.namespace}`],
    ["Arrived", event.arrivedAt],
    ["Via", event.via],
    ["State", event.state],
    ["Data", `${event.dataBytes} bytes${event.data || event.dataBytes === 0 ? "" : ", not kept any more"}`],
    ["SHA-256", event.sha256],
  ];
  const lines = facts.flatMap(([name, value]) => (value === undefined ? [] : [[`${name}:`, value]]));
  return [
    formatTable(lines),
    section(
      "Attributes",
      further.map(([name, value]) => [`${name}:`, String(value)]),
    ),
    section(
      "Headers",
      event.headers.map(([name, value]) => [`${name}:`, value]),
    ),
    section(
      "Triggers",
      event.verdicts.map(({ trigger, matched, reason }) => [trigger, matched ? "matched" : "filtered", reason ?? ""]),
    ),
    deliveriesOf(event.deliveries),
    dataOf(event),
  ].join("");
}

function section(title: string, rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? "" : `\n${title}:\n${formatTable(rows, "  ")}`;
}

function deliveriesOf(deliveries: readonly DeliveryReport[]): string {
  if (deliveries.length === 0) return "";
  const head = ["TRIGGER", "STATE", "TRIES", "STATUS", "TOOK", "BY", "NEXT", "WHY"];
  const rows = deliveries.map((delivery) => {
    const last = delivery.attempts.at(-1);
    const what = [delivery.deadLetter ? "dead letter" : "", delivery.replay ? `replay ${delivery.replay}` : ""];
    const marks = what.filter((mark) => mark !== "").join(", ");
    return [
      `${delivery.trigger}${marks === "" ? "" : ` (${marks})`}`,
      delivery.state,
      String(delivery.tries),
      last?.status === undefined ? "-" : String(last.status),
      last ? formatDuration(last.durationMs) : "-",
      [last?.version, last?.replica].filter((part) => part !== undefined).join(" ") || "-",
      delivery.nextAttemptAt ?? "-",
      delivery.reason ?? last?.error ?? "",
    ];
  });
  return section("Deliveries", [head, ...rows]);
}

function dataOf({ data }: EventReport): string {
  if (!data) return "";
  const { text, base64, truncated } = data;
  const shown = text === undefined ? (base64 ?? "") : printable(text);
  const title = text === undefined ? "Data in base64" : "Data";
  return `\n${title}:\n${shown}${shown.endsWith("\n") ? "" : "\n"}${truncated ? "… (this is the beginning)\n" : ""}`;
}
