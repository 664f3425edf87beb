import { DiscardPolicy, nanos, RetentionPolicy, StorageType } from "nats";
import type { NewStream } from "../../../../gateway/nats/ensure-stream.ts";
import type { JetStreamEventsSettings } from "../options.ts";
import { EVENT_STREAMS, SUBJECTS } from "./names.ts";

/** Publishers try again within seconds, and workers after the ack wait. */
const DUPLICATE_WINDOW_MS = 120_000;
/** What is written over again and again is sent again only within seconds. */
const SHORT_WINDOW_MS = 30_000;

/** Fields of servers from 2.11 and 2.12 on, which the client does not know. */
interface LaterFields {
  readonly allow_atomic?: boolean;
  readonly allow_msg_ttl?: boolean;
  readonly allow_msg_schedules?: boolean;
}

/**
 * None has a limit of its own: servers set the bytes of one aside at once, and what brokers may take is counted by broker.
 */
export function buildEventStreams({ replicas, storage }: JetStreamEventsSettings): (NewStream & LaterFields)[] {
  const common = {
    num_replicas: replicas,
    storage: storage === "memory" ? StorageType.Memory : StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    allow_direct: true,
  };
  const latest = { ...common, max_msgs_per_subject: 1, duplicate_window: nanos(SHORT_WINDOW_MS) };
  return [
    { ...common, name: EVENT_STREAMS.log, subjects: [...SUBJECTS.log], allow_atomic: true, allow_msg_ttl: true },
    {
      ...common,
      name: EVENT_STREAMS.deliveries,
      subjects: [...SUBJECTS.deliveries],
      retention: RetentionPolicy.Workqueue,
      allow_msg_schedules: true,
      allow_rollup_hdrs: true,
    },
    { ...latest, name: EVENT_STREAMS.records, subjects: [...SUBJECTS.records], allow_msg_ttl: true },
    { ...latest, name: EVENT_STREAMS.resources, subjects: [...SUBJECTS.resources] },
  ];
}
