import { listConsumers } from "../../../nats/consumers.ts";
import { countSubjects } from "../../../nats/count-subjects.ts";
import { readMessage } from "../../../nats/stored-message.ts";
import type { FunctionQueueStats, QueueStats } from "../../stats.ts";
import {
  callbackSubject,
  isCallbackSubject,
  parseFunctionQueue,
  plainSubject,
  queueStream,
  STREAMS,
} from "../client/names.ts";
import type { QueueActivity } from "../store/activity.ts";
import { remainsOf } from "../store/call-codec.ts";
import { countStored } from "../store/call-room.ts";
import type { Context } from "../store/context.ts";
import { parseLater } from "../store/later-bucket.ts";

const WINDOW_S = 60;
const AT_A_TIME = 16;
/** Functions whose oldest call is looked up for one answer; those with the most calls. */
const MAX_OLDEST = 500;

interface Counts {
  /** In its queue, those under way among them. */
  queued: number;
  later: number;
  /** Those that have only their callback left, and those of them that are under way. */
  callbacks: number;
  callbacksRunning: number;
  dead: number;
  oldestMs: number;
  /** As the processes tell: what a vanished one had in hand waits. */
  running: number;
  /** After this number lie calls that nobody has been given. */
  deliveredSeq: number;
}

/** Counts what the server holds; nothing is kept for it in between. */
export async function countCalls(context: Context, now: number): Promise<QueueStats> {
  const { link } = context;
  const functionQueues = new Map<string, Counts>();
  const of = (subject: string): Counts => {
    let counts = functionQueues.get(subject);
    if (!counts) {
      counts = {
        queued: 0,
        later: 0,
        callbacks: 0,
        callbacksRunning: 0,
        dead: 0,
        oldestMs: 0,
        running: 0,
        deliveredSeq: 0,
      };
      functionQueues.set(subject, counts);
    }
    return counts;
  };
  const countQueue = async (stream: string) => {
    const consumers = await listConsumers(link, stream);
    for (const { config, delivered } of consumers) {
      const { filter_subject: subject } = config;
      if (subject !== undefined && !isCallbackSubject(subject)) of(subject).deliveredSeq = delivered.stream_seq;
    }
    for (const [subject, count] of await countSubjects(link, stream, ">")) {
      if (isCallbackSubject(subject)) of(plainSubject(subject)).callbacks = count;
      else of(subject).queued = count;
    }
  };
  const queues = await context.queues();
  let bytes = 0;
  await Promise.all([
    countStored(link, queues.map(queueStream)).then((stored) => {
      bytes = stored.bytes;
    }),
    ...queues.map((queue) => countQueue(queueStream(queue))),
    countSubjects(link, STREAMS.later, "FAASLANE.later.>").then((counts) => {
      for (const [subject, count] of counts) {
        const functionQueue = parseLater(subject)?.functionQueue;
        if (functionQueue !== undefined) of(functionQueue).later += count;
      }
    }),
    countSubjects(link, STREAMS.dead, "FAASLANE.dead.>").then((counts) => {
      for (const [subject, count] of counts) of(subject.split(".").slice(2, 5).join(".")).dead += count;
    }),
  ]);
  const activity = context.activity.all(performance.now());
  for (const [subject, counts] of functionQueues) {
    counts.running = Math.min(counts.queued, activity.get(subject)?.running ?? 0);
    const callbacks = activity.get(callbackSubject(subject))?.running ?? 0;
    counts.callbacksRunning = Math.min(counts.callbacks, callbacks);
  }
  await findOldest(context, functionQueues, now);
  return { ...summary(functionQueues, activity), bytes, limits: context.settings.callLimits };
}

function summary(
  functionQueues: ReadonlyMap<string, Counts>,
  activity: ReadonlyMap<string, QueueActivity>,
): Omit<QueueStats, "bytes" | "limits"> {
  const functions: FunctionQueueStats[] = [];
  for (const subject of new Set([...functionQueues.keys(), ...activity.keys()])) {
    const functionQueue = parseFunctionQueue(subject);
    if (!functionQueue || functionQueue.callbacks) continue;
    const counts = functionQueues.get(subject);
    const waiting = counts ? waitingOf(counts) : 0;
    const { accepted = 0, finished = 0 } = activity.get(subject) ?? {};
    const { running = 0, callbacksRunning = 0, dead = 0 } = counts ?? {};
    const inFlight = running + callbacksRunning;
    if (waiting + inFlight + dead + accepted + finished === 0) continue;
    functions.push({
      name: functionQueue.name,
      namespace: functionQueue.namespace,
      queue: functionQueue.queue,
      waiting,
      inFlight,
      dead,
      oldestMs: waiting > 0 ? (counts?.oldestMs ?? 0) : 0,
      acceptedPerSecond: accepted / WINDOW_S,
      finishedPerSecond: finished / WINDOW_S,
    });
  }
  const sum = (pick: (of: FunctionQueueStats) => number) => functions.reduce((total, of) => total + pick(of), 0);
  return {
    waiting: sum(({ waiting }) => waiting),
    inFlight: sum(({ inFlight }) => inFlight),
    dead: sum(({ dead }) => dead),
    oldestMs: functions.reduce((oldest, { oldestMs }) => Math.max(oldest, oldestMs), 0),
    functions,
  };
}

function waitingOf({ queued, later, running, callbacks, callbacksRunning }: Counts): number {
  return queued - running + later + callbacks - callbacksRunning;
}

async function findOldest({ link }: Context, functionQueues: ReadonlyMap<string, Counts>, now: number): Promise<void> {
  const waiting = [...functionQueues].filter(([, { queued, running }]) => queued > running);
  waiting.sort(([, a], [, b]) => b.queued - a.queued);
  const rest = waiting.slice(0, MAX_OLDEST).values();
  const worker = async () => {
    for (const [subject, counts] of rest) {
      const queue = parseFunctionQueue(subject)?.queue;
      if (queue === undefined) continue;
      const seq = counts.running > 0 ? counts.deliveredSeq + 1 : 1;
      const message =
        (await readMessage(link, queueStream(queue), { seq, next_by_subj: subject })) ??
        // All have been given to somebody once, and some of them back.
        (await readMessage(link, queueStream(queue), { seq: 1, next_by_subj: subject }));
      if (message) counts.oldestMs = Math.max(0, now - (remainsOf(message.data).acceptedAt ?? message.storedAt));
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}
