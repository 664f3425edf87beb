import type { EventList, EventReport, EventSummary } from "../../../../../contract/events/event-report.ts";
import { withQuery } from "../../act.ts";
import { answerOf } from "./timeline.ts";

/** What one trigger did with an event. */
export interface LookedAt {
  readonly event: EventSummary;
  /** It wanted it. */
  readonly matched: boolean;
  /** Of its delivery, or of the event. */
  readonly state: EventSummary["state"];
  readonly tries: number;
  readonly lastAnswer: string | undefined;
  readonly why: string;
}

const SHOWN = 15;

/** What became of an event at one trigger; of several deliveries the latest counts. */
export function lookedAt(report: EventReport, trigger: string): LookedAt {
  const verdict = report.verdicts.find((each) => each.trigger === trigger);
  const delivery = report.deliveries.findLast((each) => each.trigger === trigger && !each.deadLetter);
  const last = delivery?.attempts.at(-1);
  return {
    event: report,
    matched: verdict?.matched ?? delivery !== undefined,
    state: delivery?.state ?? report.state,
    tries: delivery?.tries ?? 0,
    lastAnswer: last && answerOf(last),
    why: delivery?.reason ?? verdict?.reason ?? "",
  };
}

type Ask = (path: string) => Promise<unknown>;

/** The latest events that a trigger has looked at. Reports of those that have ended are asked for once. */
export class LatestEvents {
  readonly #known = new Map<string, LookedAt>();

  async read(trigger: string, namespace: string, ask: Ask): Promise<LookedAt[]> {
    const list = withQuery("/system/events", { namespace, trigger, limit: String(SHOWN) });
    const { items } = (await ask(list)) as EventList;
    const keys = items.map((event) => `${trigger} ${event.ref} ${event.state} ${JSON.stringify(event.counts)}`);
    const found = await Promise.all(
      items.map(async (event, at) => {
        const known = this.#known.get(keys[at] as string);
        if (known) return known;
        const path = withQuery(`/system/events/${encodeURIComponent(`ref:${event.ref}`)}`, { namespace });
        return lookedAt((await ask(path)) as EventReport, trigger);
      }),
    );
    this.#known.clear();
    for (const [at, each] of found.entries()) {
      if (["delivered", "dead", "dropped", "unmatched"].includes(each.state)) this.#known.set(keys[at] as string, each);
    }
    return found;
  }
}
