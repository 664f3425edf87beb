import { AckPolicy, type ConsumerConfig, type ConsumerInfo, DeliverPolicy, nanos, ReplayPolicy } from "nats";
import { sleep } from "../../kit/sleep.ts";
import { API_ERRORS, isApiError, type Link } from "./connection.ts";
import { readPages } from "./pages.ts";
import { readMessage } from "./stored-message.ts";

export interface ConsumerRef {
  readonly stream: string;
  readonly name: string;
}

export interface ConsumerSpec extends ConsumerRef {
  readonly subject: string;
  /** Messages that may be in hand at a time, over all processes. */
  readonly maxPending: number;
  readonly ackWaitMs: number;
  /** Vanishes when nobody has asked for so long; its messages stay. */
  readonly inactiveMs: number;
}

/** Makes the durable consumer of a subject, or gives it other limits. */
export async function ensureConsumer(link: Link, spec: ConsumerSpec): Promise<ConsumerInfo> {
  const config: Partial<ConsumerConfig> = {
    durable_name: spec.name,
    filter_subject: spec.subject,
    deliver_policy: DeliverPolicy.All,
    replay_policy: ReplayPolicy.Instant,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(spec.ackWaitMs),
    max_deliver: -1,
    max_ack_pending: spec.maxPending,
    inactive_threshold: nanos(spec.inactiveMs),
  };
  return await createConsumer(link, spec.stream, spec.name, config);
}

/** A consumer that reads without taking anything away, and vanishes soon after it is left alone. */
export async function openReader(
  link: Link,
  stream: string,
  name: string,
  { subject, headersOnly = false, start }: { subject: string; headersOnly?: boolean; start?: number },
): Promise<ConsumerInfo> {
  return await createConsumer(link, stream, name, {
    name,
    filter_subject: subject,
    replay_policy: ReplayPolicy.Instant,
    ack_policy: AckPolicy.None,
    inactive_threshold: nanos(60_000),
    mem_storage: true,
    num_replicas: 1,
    headers_only: headersOnly,
    ...(start === undefined
      ? { deliver_policy: DeliverPolicy.All }
      : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: start }),
  });
}

async function createConsumer(link: Link, stream: string, name: string, config: Partial<ConsumerConfig>) {
  const { filter_subject: subject } = config;
  const request = { stream_name: stream, config };
  return await link.api<ConsumerInfo>(`CONSUMER.CREATE.${stream}.${name}.${subject}`, request);
}

/** Its messages stay, and who makes it anew is given all of them. Does nothing when there is none. */
export async function removeConsumer(link: Link, { stream, name }: ConsumerRef): Promise<void> {
  try {
    await link.api(`CONSUMER.DELETE.${stream}.${name}`);
  } catch (error) {
    if (!isApiError(error, API_ERRORS.consumerNotFound, API_ERRORS.streamNotFound)) throw error;
  }
}

/** What has been acknowledged goes within this, on a cluster too. */
const GONE_WITHIN_MS = 1000;

/**
 * Whether messages lie behind a consumer, which gives them to nobody: a server that lost power can have lost deletions, or
 * messages whose numbers others have got since, that its consumer remembers.
 */
export async function leavesBehind(link: Link, { stream, name, subject }: ConsumerRef & { readonly subject: string }) {
  const { ack_floor } = await link.api<ConsumerInfo>(`CONSUMER.INFO.${stream}.${name}`);
  const first = () => readMessage(link, stream, { seq: 1, next_by_subj: subject });
  const found = await first();
  if (!found || found.seq > ack_floor.stream_seq) return false;
  await sleep(GONE_WITHIN_MS);
  return (await first())?.seq === found.seq;
}

/** None when there is no such stream. */
export async function listConsumers(link: Link, stream: string): Promise<ConsumerInfo[]> {
  return await readPages(
    link,
    `CONSUMER.LIST.${stream}`,
    {},
    (page: { consumers: ConsumerInfo[] | null }) => page.consumers,
  );
}
