import {
  decodeRunList,
  decodeRunReport,
  decodeRunSummary,
  type RunList,
  type RunReport,
  type RunSummary,
} from "../../contract/events/flow-run.ts";
import { PATHS } from "../../contract/paths.ts";
import { type EventMessage, expectEvents, parseAnswer, query } from "./events-client.ts";
import type { GatewayClient } from "./gateway-client.ts";

/** A gateway's runs of flows. */
export class FlowsClient {
  readonly #client: Pick<GatewayClient, "ask" | "post">;

  constructor(client: Pick<GatewayClient, "ask" | "post">) {
    this.#client = client;
  }

  /** Starts a run with an event. */
  async run(flow: string, { headers, body }: EventMessage, namespace?: string): Promise<RunSummary> {
    const path = `${PATHS.flows}/${encodeURIComponent(flow)}/runs${query({ namespace })}`;
    return decodeRunSummary(parseAnswer(expectEvents(await this.#client.post(path, headers, body), [202])));
  }

  async runs(filter: {
    readonly namespace?: string | undefined;
    readonly flow?: string | undefined;
    readonly state?: string | undefined;
    readonly limit: string;
    readonly after?: string | undefined;
  }): Promise<RunList> {
    const answer = await this.#client.ask("GET", PATHS.flowRuns + query({ ...filter }));
    return decodeRunList(parseAnswer(expectEvents(answer, [200])));
  }

  async show(id: string, namespace?: string): Promise<RunReport> {
    return decodeRunReport(parseAnswer(expectEvents(await this.#client.ask("GET", pathOf(id, "", namespace)), [200])));
  }

  /** `cancel` or `resume`. */
  async act(id: string, action: "cancel" | "resume", namespace?: string): Promise<void> {
    expectEvents(await this.#client.ask("POST", pathOf(id, `/${action}`, namespace)), [200, 202, 204]);
  }
}

function pathOf(id: string, below: string, namespace: string | undefined): string {
  return `${PATHS.flowRuns}/${encodeURIComponent(id)}${below}${query({ namespace })}`;
}
