import { parseJson } from "../../contract/decode.ts";
import { decodeEndpointsEvent, type EndpointsEvent, HEARTBEAT_INTERVAL_MS } from "../../contract/endpoints.ts";
import { FaasError, kindOfStatus } from "../../contract/errors.ts";
import { PATHS } from "../../contract/paths.ts";
import { LineCutter } from "../../kit/line-cutter.ts";
import type { ProviderConnection } from "./provider-connection.ts";

/** Longest line: a function with thousands of replicas fits. */
const MAX_LINE_CHARS = 4 * 1024 * 1024;
/** How programs answer that have no such route. */
const NO_SUCH_ROUTE: ReadonlySet<number> = new Set([404, 405, 501]);

/** How the provider answered to the endpoints stream: it has begun, there is no such route, or it says neither. */
export type StreamAnswer = "begun" | "lacking" | "unsure";

/**
 * One connection of the endpoints stream, until it breaks.
 * @param answered gets the outcome of each request to the provider
 */
export async function* readEndpointsStream(
  connection: Pick<ProviderConnection, "request">,
  answered: (answer: StreamAnswer) => void,
  signal: AbortSignal,
): AsyncGenerator<EndpointsEvent> {
  // A stream that has been silent for longer than two heartbeats is dead, whatever TCP believes.
  const silence = new AbortController();
  const alarm = setTimeout(() => silence.abort(new Error("no heartbeat")), HEARTBEAT_INTERVAL_MS * 2.5);
  try {
    const { statusCode, body } = await connection.request({
      method: "GET",
      path: PATHS.endpoints,
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (statusCode !== 200) {
      answered(NO_SUCH_ROUTE.has(statusCode) ? "lacking" : "unsure");
      await body.dump();
      throw new FaasError(kindOfStatus(statusCode), `the provider answered ${statusCode} to the endpoints stream`);
    }
    answered("begun");
    const lines = new LineCutter(MAX_LINE_CHARS);
    for await (const text of body.setEncoding("utf8")) {
      alarm.refresh();
      for (const line of lines.push(text as string)) {
        if (line !== "") yield decodeEndpointsEvent(parseJson(line, "endpoints event"));
      }
    }
  } finally {
    clearTimeout(alarm);
  }
}
