import type { LogMessage } from "../../../../contract/logs.ts";
import { parseVersionedName } from "../../../../contract/versions/version-name.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { ApiError } from "../client/api-error.ts";
import type { KubernetesClient, Query } from "../client/kubernetes-client.ts";
import { readLines } from "../client/lines.ts";
import { apiPath } from "../client/paths.ts";

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
  const { name: container } = parseVersionedName(name);
  const query = { container, timestamps: true, sinceTime: since?.toISOString(), tailLines: tail, ...more };
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

/** What a container waits for that has not been started, in the API's words. */
function waitReason(error: unknown): string | undefined {
  if (!(error instanceof ApiError) || error.status !== 400) return undefined;
  return /is waiting to start: (.{1,500})/.exec(error.message)?.[1];
}

/** Over within seconds, where everything goes well. */
const PASSING: ReadonlySet<string> = new Set(["ContainerCreating", "PodInitializing"]);
/** How long such a start is waited for. */
export const START_WITHIN_MS = 5_000;

/** What a pod's container has written, its run before the last restart included. One that is starting is waited for. */
export async function* readPodLog(
  client: Pick<KubernetesClient, "stream">,
  spec: PodLogSpec,
  restarts: number,
  signal: AbortSignal,
): AsyncGenerator<LogMessage> {
  if (restarts > 0) yield* readIfAny(client, spec, { previous: true }, signal);
  const deadline = performance.now() + START_WITHIN_MS;
  for (let waited = false; ; waited = true) {
    const { lines, reason } = yield* readIfAny(client, spec, {}, signal);
    // Who was waited for has not had the time to say anything yet.
    const passes = reason === undefined ? waited && lines === 0 : PASSING.has(reason);
    if (signal.aborted) return;
    if (passes && performance.now() < deadline) {
      await sleep(RETRY_MS, signal);
      continue;
    }
    // Nothing at all would look like a function that is silent.
    if (reason !== undefined) yield note(spec, `no output yet: the replica is waiting to start: ${reason}`);
    return;
  }
}

function note({ name, namespace, instance }: PodLogSpec, text: string): LogMessage {
  return { name, namespace, instance, timestamp: new Date().toISOString(), text: `${text}\n` };
}

/** What there was of a log. */
interface Found {
  readonly lines: number;
  /** What the container waits for, when it has no log for that. */
  readonly reason?: string | undefined;
}

async function* readIfAny(
  client: Pick<KubernetesClient, "stream">,
  spec: PodLogSpec,
  more: Query,
  signal: AbortSignal,
): AsyncGenerator<LogMessage, Found> {
  let lines = 0;
  try {
    for await (const line of read(client, spec, more, signal)) {
      yield line;
      lines += 1;
    }
    return { lines };
  } catch (error) {
    if (signal.aborted) return { lines };
    if (!hasNoLog(error)) throw error;
    return { lines, reason: waitReason(error) };
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
    await sleep(RETRY_MS, signal);
  }
}
