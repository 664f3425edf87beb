import { z } from "zod";
import { decode, maybe } from "../decode.ts";

const text = z.string().max(256);
const gateway = z.object({
  /** Its own for each start. */
  name: text,
  release: text,
  /** Milliseconds since the epoch. */
  startedAt: z.number(),
  /** It is the one that scales, and moves rollouts. */
  leads: z.boolean(),
  /** That take calls. */
  threads: z.number(),
  /** It makes the calls of the queue, and delivers events, itself; absent where it has neither. */
  drainsQueue: maybe(z.boolean()),
  deliversEvents: maybe(z.boolean()),
  /** The provider answers it. */
  hasProvider: z.boolean(),
});
/** One gateway, as it tells of itself. */
export type UiGateway = z.output<typeof gateway>;

/** @throws {FaasError} `invalid` */
export function decodeUiGateway(value: unknown): UiGateway {
  return decode(gateway, value, "gateway");
}

const worker = z.object({
  /** Its own for each start. */
  name: text,
  /** What it works on. */
  kind: z.enum(["queue", "events"]),
  release: text,
  /** Milliseconds since the epoch. */
  startedAt: z.number(),
  /** Why it is not healthy. */
  problem: maybe(z.string().max(10_000)),
});
/** A queue worker or event worker that is a process of its own, as it tells of itself. */
export type UiWorker = z.output<typeof worker>;

/** @throws {FaasError} `invalid` */
export function decodeUiWorker(value: unknown): UiWorker {
  return decode(worker, value, "worker");
}

/** What `GET /ui/api/gateways` answers. */
export interface UiGateways {
  /** The one that answers first. */
  readonly gateways: readonly UiGateway[];
  /** By name. */
  readonly workers: readonly UiWorker[];
  /** There may be others: those that share their NATS with it are asked. */
  readonly areShared: boolean;
}

/** A variable that the gateway has read when it started. */
export interface UiVariable {
  readonly name: string;
  readonly isSet: boolean;
  /** As it was set, without what is secret in it; absent where all of it is, and where it was not set. */
  readonly value?: string;
}

/** What `GET /ui/api/configuration` answers. */
export interface UiConfiguration {
  /** By name. */
  readonly variables: readonly UiVariable[];
}
