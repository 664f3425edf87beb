import { parseJson } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import {
  decodeEventExplanations,
  decodeEventList,
  decodeEventSummary,
  decodeFoundEvent,
  type EventExplanation,
  type EventList,
  type EventReport,
  type EventSummary,
} from "../../contract/events/event-report.ts";
import {
  decodeReplayDryRun,
  decodeReplayList,
  decodeReplayReport,
  type ReplayDryRun,
  type ReplayReport,
  type ReplayRequest,
} from "../../contract/events/replay-spec.ts";
import { PATHS } from "../../contract/paths.ts";
import { CliError } from "../errors.ts";
import { expectStatus, type GatewayAnswer, type GatewayClient } from "./gateway-client.ts";

/** A message that carries events. */
export interface EventMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Which events, as the gateway's parameters have it; absent ones are left out. */
export interface EventFilterFlags {
  readonly namespace?: string | undefined;
  readonly broker?: string | undefined;
  readonly id?: string | undefined;
  readonly source?: string | undefined;
  readonly type?: string | undefined;
  readonly trigger?: string | undefined;
  readonly state?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/** What a gateway knows of events. Every failure is a `FaasError` whose kind is that of the gateway's status. */
export class EventsClient {
  readonly #client: Pick<GatewayClient, "ask" | "post" | "lines">;

  constructor(client: Pick<GatewayClient, "ask" | "post" | "lines">) {
    this.#client = client;
  }

  /** @param broker `NAME` or `NAMESPACE/NAME` */
  async send(broker: string, { headers, body }: EventMessage): Promise<void> {
    const path = `/broker/${broker.split("/").map(encodeURIComponent).join("/")}`;
    expectEvents(await this.#client.post(path, headers, body), [202]);
  }

  async list(
    filter: EventFilterFlags,
    page: { readonly limit: string; readonly after?: string | undefined },
  ): Promise<EventList> {
    return decodeEventList(await this.#json("GET", PATHS.events + query({ ...filter, ...page })));
  }

  /** Goes on until `signal` aborts. */
  async *follow(filter: EventFilterFlags, signal: AbortSignal): AsyncGenerator<EventSummary> {
    for await (const value of this.#client.lines(PATHS.events + query({ ...filter, follow: "true" }), 0, signal)) {
      // A sign of life.
      if (typeof value === "object" && value !== null && Object.keys(value).length === 0) continue;
      yield decodeEventSummary(value);
    }
  }

  /** By its ref or its id; a list when several have the id. */
  async find(id: string, which: Pick<EventFilterFlags, "namespace" | "source">): Promise<EventReport | EventList> {
    return decodeFoundEvent(await this.#json("GET", `${PATHS.events}/${encodeURIComponent(id)}${query({ ...which })}`));
  }

  /** What became of those that have the ref or the id, in words. */
  async why(id: string, which: Pick<EventFilterFlags, "namespace" | "source">): Promise<EventExplanation[]> {
    const path = `${PATHS.events}/${encodeURIComponent(id)}/why${query({ ...which, format: "json" })}`;
    return decodeEventExplanations(await this.#json("GET", path));
  }

  async replay(request: ReplayRequest, namespace?: string): Promise<ReplayReport> {
    return decodeReplayReport(await this.#json("POST", PATHS.replays + query({ namespace }), request));
  }

  async dryRun(request: ReplayRequest, namespace?: string): Promise<ReplayDryRun> {
    const body = { ...request, dryRun: true };
    return decodeReplayDryRun(await this.#json("POST", PATHS.replays + query({ namespace }), body));
  }

  async replays(namespace?: string): Promise<ReplayReport[]> {
    return decodeReplayList(await this.#json("GET", PATHS.replays + query({ namespace })));
  }

  async replayOf(name: string, namespace?: string): Promise<ReplayReport> {
    return decodeReplayReport(await this.#json("GET", replayPath(name, namespace)));
  }

  /** Ends one that runs, forgets one that has ended. @returns whether it was running */
  async removeReplay(name: string, namespace?: string): Promise<boolean> {
    return expectEvents(await this.#client.ask("DELETE", replayPath(name, namespace)), [202, 204]).status === 202;
  }

  async #json(method: string, path: string, body?: object): Promise<unknown> {
    return parseAnswer(expectEvents(await this.#client.ask(method, path, body), [200, 202]));
  }
}

function replayPath(name: string, namespace: string | undefined): string {
  return `${PATHS.replays}/${encodeURIComponent(name)}${query({ namespace })}`;
}

/** Parameters as a query, those that are absent or empty left out. */
export function query(values: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(values).filter((entry): entry is [string, string] => (entry[1] ?? "") !== "");
  const text = new URLSearchParams(given).toString();
  return text === "" ? "" : `?${text}`;
}

/** @throws {FaasError} of the status's kind unless it is one of `statuses` */
export function expectEvents(answer: GatewayAnswer, statuses: readonly number[]): GatewayAnswer {
  const unknown = answer.code === "unknown_route" || answer.text.trim() === "404 page not found";
  if (answer.status === 404 && unknown) {
    throw new CliError("this gateway has no events; `faaslane version` shows what it is");
  }
  return expectStatus(answer, statuses);
}

/** @throws {FaasError} `upstream` when it is not JSON */
export function parseAnswer({ text }: GatewayAnswer): unknown {
  if (text.trim() === "") return undefined;
  try {
    return parseJson(text, "answer");
  } catch (cause) {
    throw new FaasError("upstream", "the gateway's answer is not JSON; is it a faaslane gateway?", { cause });
  }
}
