import { DiscardPolicy, nanos, RetentionPolicy, StorageType, type StreamConfig, type StreamInfo } from "nats";
import type { Link } from "../../../nats/connection.ts";
import type { NewStream } from "../../../nats/ensure-stream.ts";
import type { JetStreamSettings } from "../options.ts";
import { BODY_PREFIX, queueStream, RESULT_PREFIX, STREAMS } from "./names.ts";

type Sizes = Pick<JetStreamSettings, "replicas" | "storage" | "limits" | "callLimits" | "resultTtlMs">;

const MIN_STATUS_MS = 60_000;
const DAY_MS = 86_400_000;
/** Longer than the longest delay, so that nothing that belongs to a call goes before it. */
const KEEP_MS = 35 * DAY_MS;
/** Publishers try again within seconds, and workers after the ack wait. */
const DUPLICATE_WINDOW_MS = 120_000;
/** Streams that reserve room on the server. */
export const RESERVING = [STREAMS.dead, STREAMS.finished] as const;

/** Of a named queue: a message goes when its call has ended or moved on. */
export function buildQueueStream(queue: string, sizes: Sizes): NewStream {
  return {
    ...common(sizes),
    ...workQueue(sizes),
    name: queueStream(queue),
    subjects: [`${queue}.*.*`],
  };
}

/** All streams but those of the named queues. */
export function buildStreams(sizes: Sizes): NewStream[] {
  const { limits } = sizes;
  const statusMs = Math.max(MIN_STATUS_MS, sizes.resultTtlMs);
  const records = { ...common(sizes), retention: RetentionPolicy.Limits, max_msgs_per_subject: 1 };
  return [
    {
      ...common(sizes),
      ...workQueue(sizes),
      name: STREAMS.later,
      subjects: ["FAASLANE.later.>"],
    },
    { ...common(sizes), ...workQueue(sizes), name: STREAMS.batches, subjects: ["FAASLANE.batch.*"] },
    {
      ...records,
      name: STREAMS.open,
      subjects: ["FAASLANE.open.*"],
      discard: DiscardPolicy.New,
      max_age: nanos(KEEP_MS),
    },
    {
      ...records,
      name: STREAMS.finished,
      subjects: ["FAASLANE.finished.*", `${RESULT_PREFIX}.*.*`],
      discard: DiscardPolicy.Old,
      max_msgs: limits.maxFinished,
      max_bytes: limits.maxFinishedBytes,
      max_age: nanos(statusMs),
      duplicate_window: nanos(Math.min(DUPLICATE_WINDOW_MS, statusMs)),
    },
    {
      ...records,
      name: STREAMS.aliases,
      subjects: ["FAASLANE.alias.*.*"],
      discard: DiscardPolicy.Old,
      max_msgs: limits.maxFinished,
      max_age: nanos(KEEP_MS + statusMs),
    },
    {
      ...records,
      name: STREAMS.members,
      subjects: ["FAASLANE.member.>"],
      discard: DiscardPolicy.New,
      // What became of members must be stored whatever there is; new ones are refused at intake.
      max_msgs: -1,
      max_age: nanos(KEEP_MS),
    },
    {
      ...records,
      name: STREAMS.bodies,
      subjects: [`${BODY_PREFIX}.*.*`],
      discard: DiscardPolicy.New,
      max_age: nanos(KEEP_MS),
    },
    { ...records, name: STREAMS.keys, subjects: ["FAASLANE.key.*"], discard: DiscardPolicy.New },
    {
      ...records,
      name: STREAMS.dead,
      subjects: ["FAASLANE.dead.*.*.*.*"],
      discard: DiscardPolicy.Old,
      max_msgs: limits.maxDead,
      max_bytes: limits.maxDeadBytes,
    },
  ];
}

function common({ replicas, storage }: Sizes): Partial<StreamConfig> {
  return {
    num_replicas: replicas,
    storage: storage === "memory" ? StorageType.Memory : StorageType.File,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
  };
}

/**
 * Bounded in number only, to catch what many processes take at the same moment: a server sets the bytes of a stream's
 * limit aside at once. See {@link CallRoom} for the bytes.
 */
function workQueue({ callLimits }: Sizes) {
  return { retention: RetentionPolicy.Workqueue, discard: DiscardPolicy.New, max_msgs: callLimits.calls };
}

/** Removes a stream unless something has been stored in it. */
export async function removeEmptyStream(link: Link, stream: string): Promise<void> {
  const { state } = await link.api<StreamInfo>(`STREAM.INFO.${stream}`);
  if (state.messages === 0) await link.api(`STREAM.DELETE.${stream}`);
}
