import type { Announcement } from "../../contract/announce.ts";
import type { BuildConfig, BuildEvent } from "../../contract/build.ts";
import type { EndpointsEvent, StartupPhase } from "../../contract/endpoints.ts";
import type {
  EventObjectRef,
  EventObjectStatus,
  EventObjectsEvent,
  StatusOutcome,
} from "../../contract/events/event-object.ts";
import type { FunctionDeployment, FunctionRef, FunctionStatus } from "../../contract/functions.ts";
import type { ProviderInfo } from "../../contract/info.ts";
import type { LogMessage, LogQuery } from "../../contract/logs.ts";
import type { FunctionNamespace } from "../../contract/namespaces.ts";
import type { PruneReport, PruneRequest } from "../../contract/prune.ts";
import type { OwnedRoute } from "../../contract/routes/route.ts";
import type { SecretName } from "../../contract/secrets.ts";
import type { FunctionVersions } from "../../contract/versions/function-versions.ts";
import type { Tally } from "../../kit/histogram.ts";

/** A route that does not come from the annotation of its function. */
export interface IngressRoute extends OwnedRoute {
  /** For people, e.g. `FunctionIngress shop`. */
  readonly source: string;
}

/** A deployment whose namespace the route has resolved. */
export type ResolvedDeployment = FunctionDeployment & {
  readonly namespace: string;
  /** The version that it is, `v3`: its replicas are told apart by it. Absent where nobody keeps versions. */
  readonly version?: string;
  /** `sha256:…` of what `image` is to mean; whatever it means now when absent. */
  readonly digest?: string | undefined;
  /**
   * Its replicas run on, as it differs from what is deployed in labels and annotations alone, which are said about them.
   * Backends may replace them all the same.
   */
  readonly keepsReplicas?: boolean | undefined;
  /** Who asked for it, as far as that is known. */
  readonly by?: string | undefined;
};

/** Where functions run. Each failure is a `FaasError`; a write that has resolved survives `kill -9`. */
export interface Backend {
  readonly info: ProviderInfo;
  readonly functions: FunctionStore;
  readonly secrets: SecretStore;
  readonly namespaces: NamespaceStore;
  /** Absent where functions have one version. */
  readonly versions?: VersionStore;
  /**
   * Has `decide` say what the function's own replicas are to run when somebody has defined it otherwise than by `functions`: by
   * an object of a cluster. `decide` may write what is beside it, not the function itself; it may be asked several times about
   * the same, and what it throws is told where the definition was. Absent where there is no other way.
   */
  decideDeclared?(decide: (deployment: ResolvedDeployment) => Promise<Declared>): void;
  /** Absent where functions come as finished images only. */
  readonly builder?: Builder;
  /** Absent where images are somebody else's to keep. */
  readonly images?: ImageStore;

  readonly coldStarts?: ColdStartTallies;

  /** Routes to functions that others than the functions themselves tell of. Absent where there is no such thing. */
  ingressRoutes?(): readonly IngressRoute[];

  /** Objects that declare what there is of events. Absent where there are no objects. */
  readonly eventObjects?: EventObjectStore;

  /**
   * A replica says that it listens. Absent where replicas are not asked to.
   * @param address the caller's, which is taken for the replica's
   * @returns false when the token is not the function's
   */
  announce?(announcement: Announcement, address: string, token: string): boolean;

  /**
   * Lines as they appear, oldest first; ends by itself unless `follow` is set, and always when `signal` aborts.
   * @throws {FaasError} `notFound`
   */
  logs(query: LogQuery, signal: AbortSignal): AsyncIterable<LogMessage>;

  /** The endpoints stream without its 15 s heartbeats: snapshots, one heartbeat, then changes until `signal` aborts. */
  watch(signal: AbortSignal): AsyncIterable<EndpointsEvent>;

  /**
   * Tells who follows the endpoints that its replicas are about to go, and waits for as long as calls may still be on their
   * way to them. Absent where replicas stay.
   */
  leave?(): Promise<void>;

  /** Stops everything it started, within `drainTimeoutMs`. May be called twice. */
  close(drainTimeoutMs: number): Promise<void>;
}

/** Objects of a cluster that declare brokers, triggers, sources, sinks and flows. */
export interface EventObjectStore {
  /** The stream without its 15 s heartbeats: all objects, `kinds`, then changes until `signal` aborts. */
  watch(signal: AbortSignal): AsyncIterable<EventObjectsEvent>;
  /** Writes how they are into them, as far as that is new. */
  report(statuses: readonly EventObjectStatus[]): Promise<readonly StatusOutcome[]>;
  /**
   * Those that are gone, by what the cluster says now: `watch` may be behind.
   * @throws {FaasError} `unavailable` when it does not say
   */
  gone(objects: readonly EventObjectRef[]): Promise<readonly EventObjectRef[]>;
}

/** What becomes of a function that was defined otherwise than by `FunctionStore`. */
export interface Declared {
  /** What its own replicas are to run. */
  readonly deployment: ResolvedDeployment;
  /** That has been written. */
  written(): Promise<void>;
}

/** `ready`: the backend's own machinery has found it ready too, where there is such a thing. */
export type ColdStartPhase = StartupPhase | "ready";

/** How long replicas took from their creation until they had reached each phase of their start, in seconds. */
export interface ColdStartTallies {
  /** Over all functions. */
  phases(): Iterable<{ readonly phase: ColdStartPhase; readonly tally: Tally }>;
  /** Of each function, for the phases that depend on it. */
  functions(): Iterable<TotalTime>;
}

export interface TotalTime {
  /** `name.namespace`. */
  readonly function: string;
  readonly phase: ColdStartPhase;
  readonly count: number;
  /** Of all of them together. */
  readonly seconds: number;
}

/** Calls by `host:port` of the replica that has them. */
export type CallsInFlight = Readonly<Record<string, number>>;

/**
 * Functions by name. `NAME@VERSION` is a version that serves beside the one under the function's own name: to a backend it
 * is a function like any other, whose replicas are told `NAME`.
 */
export interface FunctionStore {
  /** @throws {FaasError} `invalid` for an unknown namespace */
  list(namespace: string): Promise<FunctionStatus[]>;
  /** @param usage whether to measure CPU and memory too */
  get(ref: FunctionRef, usage?: boolean): Promise<FunctionStatus | undefined>;
  /**
   * What it was last deployed with, as it was given, with version and digest as far as they are known. Absent where only
   * its status tells.
   */
  deployed?(ref: FunctionRef): Promise<ResolvedDeployment | undefined>;
  /**
   * Resolves once the definition is durable; replicas follow.
   * @throws {FaasError} `conflict` when it exists; `invalid` for its namespace, image, secrets or resources
   */
  create(deployment: ResolvedDeployment): Promise<void>;
  /**
   * Replaces all of the definition; new replicas serve before old ones drain. The replica count stays unless
   * `com.openfaas.scale.min` is higher. Changes nothing when nothing changed.
   * @throws {FaasError} `notFound`; `invalid` as in `create`
   */
  update(deployment: ResolvedDeployment): Promise<void>;
  /**
   * What of a deployment that is accepted does not hold here, a sentence each that begins with the field; silence means
   * that it holds. Absent where everything does.
   */
  warningsFor?(deployment: ResolvedDeployment): Promise<readonly string[]>;
  /**
   * Changes one annotation of a function, and nothing of what it runs; absent where only a deploy does.
   * @param value undefined takes it away
   * @throws {FaasError} `notFound`
   */
  annotate?(ref: FunctionRef, name: string, value: string | undefined): Promise<void>;
  /** @throws {FaasError} `notFound` */
  remove(ref: FunctionRef): Promise<void>;
  /**
   * @param inFlight calls at each replica by its address, so that those with the fewest go first. Counts for this
   * order only; a replica that is not named has none.
   * @throws {FaasError} `notFound`; `invalid` over the backend's limit
   */
  scale(ref: FunctionRef, replicas: number, inFlight?: CallsInFlight): Promise<void>;
  /**
   * `sha256:…` of what an image is now; undefined where that cannot be found out. Absent where nobody knows.
   * @throws {FaasError} `invalid` when there is no such image
   */
  digestOf?(deployment: ResolvedDeployment): Promise<string | undefined>;
  /** Calls wait for the function: its replicas start before others. Absent where they all start at once. */
  expedite?(ref: FunctionRef): void;
}

/** What is kept about the versions of functions; whatever has resolved is durable. */
export interface VersionStore {
  /** Whether other providers write too. */
  readonly isShared?: boolean;
  get(ref: FunctionRef): Promise<FunctionVersions | undefined>;
  /**
   * Writes what is kept as a whole.
   * @param generation what it had when it was read; 0 when there was nothing
   * @throws {FaasError} `conflict` when it has another by now; `noSpace`
   */
  put(ref: FunctionRef, versions: FunctionVersions, generation: number): Promise<void>;
  /** Nothing is kept any more. */
  remove(ref: FunctionRef): Promise<void>;
  /**
   * Calls `listener` with all that is there, and after each change, by another provider too.
   * @returns ends that
   */
  follow(listener: (ref: FunctionRef, versions: FunctionVersions | undefined) => void): () => void;
}

export interface SecretStore {
  /** @throws {FaasError} `invalid` for an unknown namespace */
  list(namespace: string): Promise<SecretName[]>;
  /**
   * Running functions see the value too, should they have a copy of one that was removed.
   * @throws {FaasError} `conflict` when it exists; `invalid` for an unknown namespace
   */
  create(secret: SecretName, value: Buffer): Promise<void>;
  /**
   * Tells a value from one before and after it, without saying what it is; undefined when there is none. Absent where nobody
   * can say.
   */
  revision?(secret: SecretName): Promise<string | undefined>;
  /** Running functions see the new value too. @throws {FaasError} `notFound` */
  update(secret: SecretName, value: Buffer): Promise<void>;
  /**
   * @param force also when functions use it: those that run keep their copy, and the next deploy that names it fails
   * @throws {FaasError} `notFound`; `conflict`, naming the functions that use it
   */
  remove(secret: SecretName, force?: boolean): Promise<void>;
}

export interface NamespaceStore {
  /** The default namespace first. */
  list(): Promise<string[]>;
  get(name: string): Promise<FunctionNamespace | undefined>;
  /** @throws {FaasError} `conflict` when it exists */
  create(namespace: FunctionNamespace): Promise<void>;
  /** Replaces labels and annotations. @throws {FaasError} `notFound` */
  update(namespace: FunctionNamespace): Promise<void>;
  /** @throws {FaasError} `notFound`; `invalid` for the default namespace; `conflict` while functions live in it */
  remove(name: string): Promise<void>;
}

export interface ImageStore {
  /**
   * Removes images that no function uses, which also happens by itself: those without a name at once, those with one
   * after a while, or with `all` now.
   */
  prune(request: PruneRequest): Promise<PruneReport>;
}

export interface Builder {
  /**
   * Makes an image from a build context: a tar or tar.gz in the file `archive`, laid out as
   * `faas-cli build --shrinkwrap` does. Ends with a `success` or `failed` event; stops when `signal` aborts.
   * @throws {FaasError} `invalid` when the context breaks a rule, before the first event
   */
  build(archive: string, config: BuildConfig, signal: AbortSignal): AsyncIterable<BuildEvent>;
}
