import type { EventSummary } from "../../../../../contract/events/event-report.ts";
import { command, option, withQuery } from "../../act.ts";
import type { ReplayForm } from "./replay-form.ts";

export const FILTER_NAMES = ["type", "source", "trigger", "state", "broker", "id", "since"] as const;

/** Which events are shown, as the address says; empty ones mean nothing. */
export type LedgerFilter = Readonly<Record<(typeof FILTER_NAMES)[number] | "namespace" | "after", string>>;

export function readFilter(query: Pick<URLSearchParams, "get">): LedgerFilter {
  const names = [...FILTER_NAMES, "namespace", "after"] as const;
  return Object.fromEntries(names.map((name) => [name, query.get(name) ?? ""])) as LedgerFilter;
}

/** @param follow as they arrive; from now on, whatever `since` says */
export function ledgerPath(filter: LedgerFilter, follow: boolean): string {
  const { since, after, ...rest } = filter;
  return withQuery("/system/events", follow ? { ...rest, follow: "true" } : { ...rest, since, after, limit: "100" });
}

export function ledgerCommand({ namespace, id, after: _, since, ...filter }: LedgerFilter, follow: boolean): string {
  return command(
    ...["faaslane", "events", follow ? "tail" : "list"],
    ...Object.entries(filter).flatMap(([name, value]) => option(`--${name}`, value)),
    ...(follow ? [] : [...option("--id", id), ...option("--since", since)]),
    ...option("-n", namespace),
  );
}

/** The same events, for a replay. */
export function replayOf({ type, source, trigger, state, broker, since }: LedgerFilter): Partial<ReplayForm> {
  return { type, source, trigger, state, broker, since };
}

const MOST_FOLLOWED = 500;

/** Takes an event that is told of, which may be one that is there already and has ended since. Newest first. */
export function takeFollowed(events: readonly EventSummary[], told: EventSummary): EventSummary[] {
  const others = events.filter(({ ref }) => ref !== told.ref);
  if (others.length < events.length) return events.map((event) => (event.ref === told.ref ? told : event));
  return [told, ...others].slice(0, MOST_FOLLOWED);
}
