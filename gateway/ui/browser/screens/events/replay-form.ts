import type { ReplayRequest } from "../../../../../contract/events/replay-spec.ts";
import { type Act, command, option, withQuery } from "../../act.ts";

/** Which events go out again, and where to, as people fill it in. */
export interface ReplayForm {
  readonly name: string;
  /** Single ones, by their refs; the others below say nothing then. */
  readonly events: readonly string[];
  readonly broker: string;
  readonly type: string;
  readonly source: string;
  readonly trigger: string;
  readonly state: string;
  readonly since: string;
  readonly until: string;
  readonly to: string;
  readonly rate: string;
  readonly replies: boolean;
}

export const EMPTY_REPLAY: ReplayForm = {
  name: "",
  events: [],
  broker: "",
  type: "",
  source: "",
  trigger: "",
  state: "",
  since: "",
  until: "",
  to: "",
  rate: "",
  replies: false,
};

/** What is wrong with it that the page can tell; the gateway tells the rest. */
export function replayProblems({ rate, name }: ReplayForm): string[] {
  return [
    ...(rate === "" || (/^\d{1,5}(\.\d{1,3})?$/.test(rate) && Number(rate) > 0 && Number(rate) <= 10_000)
      ? []
      : ["Events a second: must be a number above 0, of at most 10000"]),
    ...(name === "" || /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)
      ? []
      : ["Name: must be at most 63 of a-z, 0-9 and -, which neither begins nor ends it"]),
  ];
}

/** As the API takes it. */
export function replayRequestOf(form: ReplayForm): ReplayRequest {
  const { name, events, broker, type, source, trigger, state, since, until, to, rate, replies } = form;
  const single = events.length > 0;
  const filter = single ? {} : given({ broker, type, source, trigger, since, until });
  const states = !single && state !== "" ? { states: state.split(",") as NonNullable<ReplayRequest["states"]> } : {};
  const selects = single || Object.keys(filter).length > 0 || "states" in states;
  return {
    ...given({ name, to }),
    ...(single && { events: [...events] }),
    ...filter,
    ...states,
    ...(!selects && { all: true }),
    ...(rate !== "" && { rate: Number(rate) }),
    ...(replies && { replies }),
  };
}

/** @param count of a dry run; absent before there was one */
export function replayAct(form: ReplayForm, namespace: string | undefined, count?: number): Act {
  const { name, events, broker, type, source, trigger, state, since, until, to, rate, replies } = form;
  const single = events.length > 0;
  const request = replayRequestOf(form);
  const what = count === undefined ? "events" : count === 1 ? "1 event" : `${count} events`;
  return {
    title: `Replay ${what}`,
    action: `Replay ${what}`,
    effect:
      to === ""
        ? "They go once more to the triggers that got them, and to no others. What was done with them before is not undone."
        : `They go to ${to} alone; their own triggers do not get them again.`,
    cli: command(
      ...["faaslane", "events", "replay", ...events, request.all ? "--all" : undefined],
      ...(single
        ? []
        : [
            ...[...option("--broker", broker), ...option("--type", type), ...option("--source", source)],
            ...[...option("--trigger", trigger), ...option("--state", state)],
            ...[...option("--since", since), ...option("--until", until)],
          ]),
      ...[...option("--to", to), ...option("--rate", rate), ...option("--name", name)],
      ...[replies ? "--replies" : undefined, ...option("-n", namespace)],
    ),
    request: { method: "POST", path: withQuery("/system/replays", { namespace }), body: request },
  };
}

/** Ends one that runs, or forgets one that has ended. */
export function endReplayAct(name: string, namespace: string | undefined, runs: boolean): Act {
  return {
    title: runs ? `Cancel ${name}` : `Forget ${name}`,
    action: runs ? "Cancel the replay" : "Forget it",
    isDangerous: true,
    effect: runs
      ? "No more events are given out. What it has given out is still delivered."
      : "It is not listed any more. Its events and their deliveries stay.",
    cli: command("faaslane", "events", "replays", "cancel", name, ...option("-n", namespace)),
    request: { method: "DELETE", path: withQuery(`/system/replays/${encodeURIComponent(name)}`, { namespace }) },
  };
}

function given<T extends Readonly<Record<string, string>>>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== "")) as Partial<T>;
}
