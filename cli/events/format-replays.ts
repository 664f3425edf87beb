import type { ReplayDryRun, ReplayReport } from "../../contract/events/replay-spec.ts";
import { formatTable } from "../table.ts";

export function formatReplays(replays: readonly ReplayReport[]): string {
  const head = ["NAME", "STATE", "DONE", "SKIPPED", "TO", "CREATED", "PROBLEM"];
  const rows = replays.map((replay) => [
    replay.name,
    replay.state,
    progressOf(replay),
    String(replay.skipped),
    replay.to ?? "their triggers",
    replay.createdAt,
    replay.problem ?? "",
  ]);
  return formatTable([head, ...rows]);
}

/** `12/40`, or `0` while nobody knows how many there are. */
export function progressOf({ done, skipped, total }: ReplayReport): string {
  return total === undefined ? `${done + skipped}` : `${done + skipped}/${total}`;
}

export function formatReplay(replay: ReplayReport): string {
  const { broker, events, id, source, type, trigger, states, since, until } = replay;
  const lines: (readonly [string, string | undefined])[] = [
    ["Name", replay.name],
    ["Namespace", replay.namespace],
    ["State", replay.state],
    ["Problem", replay.problem],
    ["Done", progressOf(replay)],
    ["Skipped", replay.skipped === 0 ? undefined : `${replay.skipped}, which are not kept any more, or their data`],
    ["To", replay.to ?? "their triggers"],
    ["Rate", `${replay.rate} events/s`],
    ["Broker", broker],
    ["Events", events?.join(" ")],
    ["Id", id],
    ["Source", source],
    ["Type", type],
    ["Trigger", trigger],
    ["States", states?.join(", ")],
    ["Since", since],
    ["Until", until],
    ["Created", replay.createdAt],
    ["Ended", replay.endedAt],
    ["Last event", replay.lastRef && `${replay.lastRef}, arrived ${replay.lastArrivedAt ?? ""}`],
  ];
  return formatTable(lines.flatMap(([name, value]) => (value === undefined ? [] : [[`${name}:`, value]])));
}

export function formatDryRun({ count, more, deliveries, sample }: ReplayDryRun): string {
  const all = more ? `More than ${count}` : String(count);
  const where = Object.entries(deliveries).map(([trigger, deliveries]) => [trigger, String(deliveries)]);
  const rows = sample.map(({ arrivedAt, type, id, ref }) => [arrivedAt, type, id, ref]);
  return [
    `${all} ${count === 1 && !more ? "event" : "events"} would be sent again; nothing was.\n`,
    where.length === 0 ? "" : `\n${formatTable([["TO", "EVENTS"], ...where])}`,
    rows.length === 0 ? "" : `\nThe first of them:\n${formatTable([["ARRIVED", "TYPE", "ID", "REF"], ...rows])}`,
  ].join("");
}
