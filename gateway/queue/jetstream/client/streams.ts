import { DiscardPolicy, nanos, RetentionPolicy, StorageType, type StreamConfig, type StreamInfo } from "nats";
import { API_ERRORS, isApiError, type Link } from "../../../nats/connection.ts";
import type { JetStreamSettings } from "../options.ts";
import { BODY_PREFIX, queueStream, RESULT_PREFIX, STREAMS } from "./names.ts";

type Config = Pick<StreamConfig, "name" | "subjects" | "retention" | "discard"> & Partial<StreamConfig>;
type Sizes = Pick<JetStreamSettings, "replicas" | "storage" | "limits" | "callLimits" | "resultTtlMs">;

const MIN_STATUS_MS = 60_000;
const DAY_MS = 86_400_000;
/** Longer than the longest delay, so that nothing that belongs to a call goes before it. */
const KEEP_MS = 35 * DAY_MS;
/** Publishers try again within seconds, and workers after the ack wait. */
const DUPLICATE_WINDOW_MS = 120_000;
/** Less than this is no help to anybody. */
const MIN_SIZE_BYTES = 16 * 1024 ** 2;

/** Of a named queue: a message goes when its call has ended or moved on. */
export function buildQueueStream(queue: string, sizes: Sizes): Config {
  return {
    ...common(sizes),
    ...workQueue(sizes),
    name: queueStream(queue),
    subjects: [`${queue}.*.*`],
  };
}

/** All streams but those of the named queues. */
export function buildStreams(sizes: Sizes): Config[] {
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

/** The servers of a cluster elect a leader for each new stream before they answer. */
const MAKE_TIMEOUT_MS = 15_000;

/**
 * Makes the stream as {@link makeStream} does. A server sets the size of a stream aside at once; one that has not so
 * much gets a smaller one.
 * @returns the fields that differ from the configuration
 */
export async function ensureStream(link: Link, config: Config): Promise<string[]> {
  try {
    return await makeStream(link, config);
  } catch (error) {
    const half = Math.floor((config.max_bytes ?? 0) / 2);
    if (!isApiError(error, API_ERRORS.insufficientStorage) || half < MIN_SIZE_BYTES) throw error;
    return [...new Set([...(await ensureStream(link, { ...config, max_bytes: half })), "max_bytes"])];
  }
}

/**
 * Makes the stream, or changes one of an older configuration; what cannot be changed (its storage) stays as it is.
 * @returns the fields that could not be changed
 * @throws {JetStreamError} when the server cannot have it
 */
async function makeStream(link: Link, config: Config): Promise<string[]> {
  try {
    await link.api<StreamInfo>(`STREAM.CREATE.${config.name}`, config, MAKE_TIMEOUT_MS);
    return [];
  } catch (error) {
    if (!isApiError(error, API_ERRORS.streamNameInUse)) throw error;
  }
  const { config: found } = await link.api<StreamInfo>(`STREAM.INFO.${config.name}`);
  const fixed = (["storage", "retention"] as const).filter((field) => found[field] !== config[field]);
  const wanted = Object.assign(
    { ...found, ...config },
    Object.fromEntries(fixed.map((field) => [field, found[field]])),
  );
  await link.api(`STREAM.UPDATE.${config.name}`, wanted, MAKE_TIMEOUT_MS);
  return fixed;
}
