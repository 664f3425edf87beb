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
export function readEndpointsStream(
  connection: Pick<ProviderConnection, "request">,
  answered: (answer: StreamAnswer) => void,
  signal: AbortSignal,
): AsyncGenerator<EndpointsEvent> {
  const read = (line: string) => decodeEndpointsEvent(parseJson(line, "endpoints event"));
  return readStream({ connection, path: PATHS.endpoints, what: "the endpoints stream", read, answered }, signal);
}

export interface StreamOptions<T> {
  readonly connection: Pick<ProviderConnection, "request">;
  readonly path: string;
  /** For errors. */
  readonly what: string;
  /** @throws for what is no event */
  readonly read: (line: string) => T;
  /** Gets the outcome of the request. */
  readonly answered: (answer: StreamAnswer) => void;
}

/** One connection of a stream that has a line per event, and heartbeats, until it breaks. */
export async function* readStream<T>(
  { connection, path, what, read, answered }: StreamOptions<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  // A stream that has been silent for longer than two heartbeats is dead, whatever TCP believes.
  const silence = new AbortController();
  const alarm = setTimeout(() => silence.abort(new Error("no heartbeat")), HEARTBEAT_INTERVAL_MS * 2.5);
  try {
    const { statusCode, body } = await connection.request({
      method: "GET",
      path,
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (statusCode !== 200) {
      answered(NO_SUCH_ROUTE.has(statusCode) ? "lacking" : "unsure");
      await body.dump();
      throw new FaasError(kindOfStatus(statusCode), `the provider answered ${statusCode} to ${what}`);
    }
    answered("begun");
    const lines = new LineCutter(MAX_LINE_CHARS);
    for await (const text of body.setEncoding("utf8")) {
      alarm.refresh();
      for (const line of lines.push(text as string)) {
        if (line !== "") yield read(line);
      }
    }
  } finally {
    clearTimeout(alarm);
  }
}
