import type { Logger } from "../../../../kit/log.ts";
import { sleep } from "../../../../kit/sleep.ts";
import { hasStatus } from "../client/api-error.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import { apiPath } from "../client/paths.ts";
import { decideLease, heldLease, type LeaseResource, releasedLease, type Sighting, sight } from "./lease-record.ts";

export interface LeaseHolderOptions {
  readonly client: Pick<KubernetesClient, "find" | "create" | "replace">;
  readonly namespace: string;
  readonly name: string;
  /** Tells this process from all others. */
  readonly identity: string;
  /** Whole seconds, in milliseconds. */
  readonly durationMs: number;
  readonly log: Logger;
  /** From 0 up to, not including, 1. */
  readonly random?: () => number;
}

/** Shares of the lease's duration, those of Kubernetes' own controllers: 10 s and 2 s of 15 s. */
const GIVE_UP_SHARE = 2 / 3;
const RETRY_SHARE = 2 / 15;
/** For letting others know that we go. */
const RELEASE_WITHIN_MS = 2_000;

/**
 * Calls `lead` while this process is the one that holds the lease, again and again, until `signal` aborts; gives the
 * lease back then. What `lead` gets aborts at once when the lease is lost, well before anybody else can have it.
 * @param lead resolves once everything that it began has ended
 */
export async function holdLease(
  options: LeaseHolderOptions,
  lead: (leading: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { durationMs, random = Math.random, log } = options;
  const retryMs = durationMs * RETRY_SHARE;
  let seen: Sighting | undefined;
  let failing = false;
  while (!signal.aborted) {
    const startedMs = performance.now();
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(durationMs)]);
      const lease = await read(options, limit);
      seen = lease && sight(lease, seen, performance.now());
      const decision = lease && seen ? decideLease(lease, options.identity, seen, performance.now()) : { kind: "take" };
      failing = false;
      if (decision.kind !== "wait") {
        const held = await write(options, lease, limit);
        if (held) await leadWhileHeld(options, { held, startedMs }, lead, signal);
      }
    } catch (err) {
      if (signal.aborted) return;
      if (!failing) log.warn({ err, lease: options.name }, "could not read or write the lease");
      failing = true;
    }
    await sleep(retryMs * (1 + random() / 5), signal);
  }
}

function pathOf({ namespace, name }: LeaseHolderOptions): string {
  return apiPath.lease(namespace, name);
}

async function read(options: LeaseHolderOptions, signal: AbortSignal): Promise<LeaseResource | undefined> {
  return await options.client.find<LeaseResource>(pathOf(options), signal);
}

/** Undefined when somebody else was faster. */
async function write(
  options: LeaseHolderOptions,
  before: LeaseResource | undefined,
  signal: AbortSignal,
): Promise<LeaseResource | undefined> {
  const { client, namespace, name, identity: me, durationMs } = options;
  const lease = heldLease(before ?? { metadata: { name, namespace } }, { me, durationMs, time: new Date() });
  try {
    if (!before) return await client.create<LeaseResource>(apiPath.leases(namespace), lease, signal);
    return await client.replace<LeaseResource>(pathOf(options), lease, signal);
  } catch (error) {
    if (hasStatus(error, 409) || (before && hasStatus(error, 404))) return undefined;
    throw error;
  }
}

async function leadWhileHeld(
  options: LeaseHolderOptions,
  first: { readonly held: LeaseResource; readonly startedMs: number },
  lead: (leading: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { log, identity, name } = options;
  const leading = new AbortController();
  log.info({ lease: name, identity }, "became the leader for Functions");
  const failed = new AbortController();
  const led = lead(leading.signal).catch((err: unknown) => {
    log.error({ err }, "reconciling Functions failed");
    failed.abort();
  });
  await renew(options, first, AbortSignal.any([signal, failed.signal]));
  leading.abort();
  log.info({ lease: name, identity }, "no longer the leader for Functions");
  // Others take over only when nothing of ours is under way any more, or the lease has run out.
  await led;
  // Who cannot act must not keep others from it.
  if (signal.aborted || failed.signal.aborted) await release(options);
}

/** Resolves when the lease is lost, or `signal` aborts. */
async function renew(
  options: LeaseHolderOptions,
  { held, startedMs }: { readonly held: LeaseResource; readonly startedMs: number },
  signal: AbortSignal,
): Promise<void> {
  const { durationMs, log } = options;
  let lease: LeaseResource | undefined = held;
  // From before the request: the API server has counted from some moment after that.
  let giveUpAt = startedMs + durationMs * GIVE_UP_SHARE;
  while (!signal.aborted) {
    await sleep(Math.max(0, Math.min(durationMs * RETRY_SHARE, giveUpAt - performance.now())), signal);
    const [begunMs, leftMs] = [performance.now(), giveUpAt - performance.now()];
    if (signal.aborted || leftMs <= 0) return;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(leftMs))]);
    try {
      // A renewal whose answer was lost has changed the version, which is why it is read anew then.
      lease ??= await read(options, limit);
      if (!lease || lease.spec?.holderIdentity !== options.identity) return;
      lease = await write(options, lease, limit);
      if (lease) giveUpAt = begunMs + durationMs * GIVE_UP_SHARE;
    } catch (err) {
      if (!signal.aborted) log.warn({ err, lease: options.name }, "could not renew the lease");
      lease = undefined;
    }
  }
}

async function release(options: LeaseHolderOptions): Promise<void> {
  const { client, identity, log } = options;
  const limit = AbortSignal.timeout(RELEASE_WITHIN_MS);
  try {
    const lease = await read(options, limit);
    if (lease?.spec?.holderIdentity !== identity) return;
    await client.replace(pathOf(options), releasedLease(lease, new Date()), limit);
  } catch (err) {
    log.warn({ err, lease: options.name }, "could not release the lease; it expires by itself");
  }
}
