import { FaasError } from "../../../../contract/errors.ts";
import { qualifiedName } from "../../../../contract/functions.ts";
import type { LogMessage, LogQuery } from "../../../../contract/logs.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { Notifier } from "../../notifier.ts";
import type { InformerCache } from "../cache/informer-cache.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import { followPodLog, type PodLogSpec, readPodLog, START_WITHIN_MS } from "./pod-log.ts";

interface Around {
  readonly client: Pick<KubernetesClient, "stream">;
  readonly cache: Pick<InformerCache, "find" | "instances">;
}

/** Each is a connection to the API server. */
const MAX_PODS = 50;
/** Lines that wait for a reader; then pods wait. */
const MAX_WAITING = 256;
const LOOK_MS = 100;

/** See `Backend.logs`. The function is known to be there. */
export async function* readLogs(query: LogQuery, around: Around, signal: AbortSignal): AsyncGenerator<LogMessage> {
  if (!around.cache.find(query)) throw new FaasError("notFound", `function ${qualifiedName(query)} not found`);
  if (query.follow) return yield* follow(query, around, signal);
  await untilAny(query, around, signal);
  const sources = instances(query, around).map(({ name, restarts }) =>
    readPodLog(around.client, specOf(query, name), restarts, signal),
  );
  yield* mergeByTime(sources);
}

/** A function that was deployed or woken just now has no pods for a moment. */
async function untilAny(query: LogQuery, around: Around, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + START_WITHIN_MS;
  const isExpected = () => (around.cache.find(query)?.spec?.replicas ?? 0) > 0;
  while (isExpected() && around.cache.instances(query).length === 0 && performance.now() < deadline) {
    await sleep(LOOK_MS, signal);
    if (signal.aborted) return;
  }
}

function instances(query: LogQuery, { cache }: Around) {
  const all = cache.instances(query);
  return all.filter(({ name }) => query.instance === undefined || name === query.instance).slice(0, MAX_PODS);
}

function specOf({ name, namespace, since, tail }: LogQuery, instance: string): PodLogSpec {
  return { name, namespace, instance, ...(since && { since }), ...(tail !== undefined && { tail }) };
}

/** Several sources that are in order, as one that is; holds one line of each. */
export async function* mergeByTime(sources: readonly AsyncGenerator<LogMessage>[]): AsyncGenerator<LogMessage> {
  const heads = await Promise.all(sources.map(async (source) => ({ source, next: await source.next() })));
  try {
    for (;;) {
      let first: (typeof heads)[number] | undefined;
      for (const head of heads) {
        if (head.next.done) continue;
        if (!first || head.next.value.timestamp < first.next.value.timestamp) first = head;
      }
      if (!first) return;
      yield first.next.value;
      first.next = await first.source.next();
    }
  } finally {
    await Promise.all(sources.map((source) => source.return(undefined)));
  }
}

/** Pods are read next to each other as they come, until the function or the reader goes. */
async function* follow(query: LogQuery, around: Around, reader: AbortSignal): AsyncGenerator<LogMessage> {
  const left = new AbortController();
  const signal = AbortSignal.any([reader, left.signal]);
  const waiting: LogMessage[] = [];
  const [came, went] = [new Notifier(), new Notifier()];
  const readers = new Map<string, Promise<void>>();
  let failure: unknown;

  const pump = async (instance: string, spec: PodLogSpec) => {
    const isGone = () => !instances(query, around).some(({ name }) => name === instance);
    for await (const line of followPodLog(around.client, spec, isGone, signal)) {
      while (waiting.length >= MAX_WAITING && !signal.aborted) await went.after(went.version, signal);
      waiting.push(line);
      came.notify();
    }
  };
  const look = async () => {
    // Pods that come later are read from their beginning: a follower has seen none of it.
    let spec = (instance: string) => specOf(query, instance);
    while (!signal.aborted && around.cache.find(query)) {
      for (const { name } of instances(query, around)) {
        if (readers.has(name)) continue;
        const done = pump(name, spec(name)).catch((error: unknown) => {
          failure ??= error;
          came.notify();
        });
        readers.set(name, done);
      }
      spec = (instance) => ({ name: query.name, namespace: query.namespace, instance });
      await sleep(LOOK_MS, signal);
    }
    // What the last pods say while they go is still wanted.
    await Promise.all(readers.values());
  };

  let ended = false;
  const looking = look().finally(() => {
    ended = true;
    came.notify();
  });
  try {
    for (;;) {
      const version = came.version;
      for (let line = waiting.shift(); line; line = waiting.shift()) {
        went.notify();
        yield line;
        if (reader.aborted) return;
      }
      if (failure !== undefined) throw failure;
      if (ended || reader.aborted) return;
      await came.after(version, reader);
    }
  } finally {
    left.abort();
    await looking;
  }
}
