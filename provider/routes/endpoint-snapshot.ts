import type { FunctionEndpoints } from "../../contract/endpoints.ts";
import { type FunctionRef, qualifiedName } from "../../contract/functions.ts";
import { answerTimeoutMs } from "../../contract/timeouts.ts";
import type { TrafficTarget } from "../../contract/versions/traffic.ts";
import { parseVersionedName, versionedName } from "../../contract/versions/version-name.ts";
import type { Logger } from "../../kit/log.ts";
import type { Backend } from "../backends/backend.ts";

/** How a function can be called. */
export interface Callable {
  /** `host:port` of every replica that is ready. */
  readonly addresses: readonly string[];
  /** Longest wait for the head of its answer, in milliseconds. */
  readonly timeoutMs: number;
}

/** One row of the stream. */
interface Row extends Callable {
  readonly version?: string | undefined;
  readonly traffic?: readonly TrafficTarget[] | undefined;
}

/** Which replicas can be called, as the backend last told. */
export interface EndpointSnapshot {
  /** Undefined for functions that do not exist. */
  find(ref: FunctionRef): Promise<Callable | undefined>;
}

/**
 * A snapshot that starts to watch at its first use, since a gateway of ours never asks for it, and again after a failure.
 * @param timeoutMs longest wait for functions that do not say how long they may take
 * @param closing ends it
 */
export function openEndpointSnapshot(
  backend: Pick<Backend, "watch">,
  timeoutMs: number,
  log: Logger,
  closing: AbortSignal,
  random: () => number = Math.random,
): EndpointSnapshot {
  let current: Promise<ReadonlyMap<string, Row>> | undefined;

  const watch = () => {
    const functions = new Map<string, Row>();
    const { promise: whole, resolve, reject } = Promise.withResolvers<typeof functions>();
    const follow = async () => {
      for await (const event of backend.watch(closing)) {
        if (event.type === "heartbeat") resolve(functions);
        else if (event.type === "removed") functions.delete(qualifiedName(event.function));
        else functions.set(qualifiedName(event.function), callable(event.function, timeoutMs));
      }
      throw new Error("the backend's watch ended");
    };
    follow().catch((err: unknown) => {
      if (current === whole) current = undefined;
      reject(err);
      if (!closing.aborted) log.warn({ err }, "endpoints lost; watching again at the next call");
    });
    return whole;
  };

  return {
    async find(ref) {
      current ??= watch();
      const rows = await current;
      const { name, version } = parseVersionedName(ref.name);
      const own = rows.get(qualifiedName({ ...ref, name }));
      if (own && version !== undefined) return namedOf(rows, { ...ref, name }, own, version);
      return own?.traffic ? chosenOf(rows, ref, own, random()) : own;
    },
  };
}

function callable(snapshot: FunctionEndpoints, timeoutMs: number): Row {
  const { endpoints, version, traffic } = snapshot;
  const ready = endpoints.filter(({ state }) => state === "ready");
  return {
    addresses: ready.map(({ address }) => address),
    timeoutMs: answerTimeoutMs(snapshot, { timeoutMs }),
    version,
    traffic,
  };
}

/** The row of a version that a caller names, by its number or by a tag. */
function namedOf(rows: ReadonlyMap<string, Row>, ref: FunctionRef, own: Row, named: string): Row | undefined {
  const version = own.traffic?.find(({ tag }) => tag === named)?.version ?? named;
  return version === own.version ? own : rows.get(qualifiedName({ ...ref, name: versionedName(ref.name, version) }));
}

/**
 * The row of the version that a call goes to, by the shares alone. A gateway that comes this way can wake none, so that
 * those which have no replica leave their calls to the others.
 */
function chosenOf(rows: ReadonlyMap<string, Row>, ref: FunctionRef, own: Row, random: number): Row {
  const rowOf = (version: string) =>
    version === own.version ? own : rows.get(qualifiedName({ ...ref, name: versionedName(ref.name, version) }));
  const awake = (own.traffic ?? []).flatMap(({ version, share }) => {
    const row = rowOf(version);
    return row && share > 0 && row.addresses.length > 0 ? [{ row, share }] : [];
  });
  let left = random * awake.reduce((sum, { share }) => sum + share, 0);
  for (const { row, share } of awake) {
    left -= share;
    if (left < 0) return row;
  }
  return own;
}
