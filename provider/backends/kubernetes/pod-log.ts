import type { LogMessage } from "../../contract/logs.ts";
import { pause } from "../pause.ts";
import { ApiError } from "./api-error.ts";
import type { KubernetesClient, Query } from "./kubernetes-client.ts";
import { readLines } from "./lines.ts";
import { apiPath } from "./paths.ts";

export interface PodLogSpec {
  readonly name: string;
  readonly namespace: string;
  /** The pod's name. */
  readonly instance: string;
  readonly since?: Date;
  readonly tail?: number;
}

const MAX_LINE_CHARS = 64 * 1024;
const RETRY_MS = 200;

function decodeLine(line: string, { name, namespace, instance }: PodLogSpec): LogMessage {
  const space = line.indexOf(" ");
  const [timestamp, text] = space === -1 ? [line, ""] : [line.slice(0, space), line.slice(space + 1)];
  return { name, namespace, instance, timestamp, text: `${text}\n` };
}

async function* read(
  client: Pick<KubernetesClient, "stream">,
  spec: PodLogSpec,
  more: Query,
  signal: AbortSignal,
): AsyncGenerator<LogMessage> {
  const { namespace, instance, name, since, tail } = spec;
  const query = { container: name, timestamps: true, sinceTime: since?.toISOString(), tailLines: tail, ...more };
  const response = await client.stream(apiPath.podLog(namespace, instance), query, signal);
  try {
    for await (const line of readLines(response, { limitChars: MAX_LINE_CHARS, whole: false })) {
      yield decodeLine(line, spec);
    }
  } finally {
    response.destroy();
  }
}

/** A pod that has gone, or whose container never ran, has no log; that is for its reader to see, not a failure. */
function hasNoLog(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 400);
}

/** What a pod's container has written, its run before the last restart included. */
export async function* readPodLog(
  client: Pick<KubernetesClient, "stream">,
  spec: PodLogSpec,
  restarts: number,
  signal: AbortSignal,
): AsyncGenerator<LogMessage> {
  for (const previous of restarts > 0 ? [true, false] : [false]) {
    try {
      yield* read(client, spec, { previous: previous || undefined }, signal);
    } catch (error) {
      if (!hasNoLog(error)) throw error;
    }
  }
}

/** The same, and what it writes from then on, over restarts and lost connections, until `isGone`. */
export async function* followPodLog(
  client: Pick<KubernetesClient, "stream">,
  spec: PodLogSpec,
  isGone: () => boolean,
  signal: AbortSignal,
): AsyncGenerator<LogMessage> {
  let last: string | undefined;
  while (!signal.aborted) {
    try {
      // Kubernetes looks at whole seconds, so lines that were seen come again and are left out.
      const { tail: _, ...rest } = spec;
      const from = last === undefined ? spec : { ...rest, since: new Date(last) };
      for await (const line of read(client, from, { follow: true }, signal)) {
        if (last !== undefined && line.timestamp <= last) continue;
        yield line;
        last = line.timestamp;
      }
    } catch (error) {
      if (signal.aborted) return;
      const passes = hasNoLog(error) || !(error instanceof ApiError) || error.kind === "unavailable";
      if (!passes) throw error;
    }
    if (isGone()) return;
    await pause(RETRY_MS, signal);
  }
}
