import { keepTrying } from "../../../kit/keep-trying.ts";
import { sleep } from "../../../kit/sleep.ts";
import type { SourceContext, SourceEvent, SourceType } from "../source.ts";
import { ClusterApi } from "./cluster-api.ts";
import { openLogin } from "./cluster-login.ts";
import { type KubernetesSourceSettings, kubernetesSettings, type WatchedResource } from "./kubernetes-settings.ts";
import { objectEvent } from "./object-event.ts";
import { type ObjectChange, ResourceWatch } from "./watch-resource.ts";

/** Stored together. */
const BATCH = 100;
/** What was reached is noted as often. */
const SAVE_EVERY_MS = 1_000;
const WAIT_MS = [500, 30_000] as const;
/** Between two watches, where nothing is wrong. */
const PAUSE_MS = 50;
const CONNECTOR = "kubernetes-connector";

interface Reached {
  readonly version: string;
  readonly at: number;
}

/** `kubernetes`: what happens to objects of a cluster, as Knative's ApiServerSource tells it. */
export const kubernetesSource: SourceType<KubernetesSourceSettings> = {
  type: "kubernetes",
  settings: kubernetesSettings,
  run: async (settings, context) => {
    const login = await openLogin(settings.cluster, (name, key) => context.secret(name, key));
    const api = new ClusterApi(login, context.targets);
    const ending = new AbortController();
    const signal = AbortSignal.any([context.signal, ending.signal]);
    const notes = new Notes(context);
    try {
      await notes.load();
      const watches = settings.resources.map((resource) => watchOf(resource, settings, context, api, notes));
      const following = watches.map((watch) => keepWatching(watch, context, signal));
      await Promise.all([...following, notes.keepSaving(signal)]);
    } finally {
      // One of them has failed for good: the others are run again with it.
      ending.abort();
      await notes.save().catch((error: unknown) => context.warn(error));
      await api.close();
    }
  },
};

function watchOf(
  resource: WatchedResource,
  { whole, filter, topic, skipFirst }: KubernetesSourceSettings,
  context: SourceContext,
  api: ClusterApi,
  notes: Notes,
): ResourceWatch {
  const key = JSON.stringify([resource.apiVersion, resource.kind, resource.namespace, resource.labelSelector]);
  const { apiVersion, kind } = resource;
  const eventOf = ({ verb, object }: ObjectChange, plural: string): SourceEvent[] => {
    const event = objectEvent(verb, object, { server: api.server, apiVersion, kind, plural, whole });
    if (filter && !filter(event.attributes).passes) return [];
    const headers = [
      ["X-Topic", topic ?? String(event.attributes.type)],
      ["X-Connector", CONNECTOR],
    ] as const;
    return [{ event, headers, once: String(event.attributes.id), ...(topic !== undefined && { topic }) }];
  };
  return new ResourceWatch({
    api,
    resource,
    namespace: context.namespace,
    skipFirst,
    reached: notes.get(key),
    emit: async (changes, plural) => {
      const events = changes.flatMap((change) => eventOf(change, plural));
      for (let at = 0; at < events.length; at += BATCH) await context.emit(events.slice(at, at + BATCH));
    },
    reach: (version) => notes.set(key, version),
    connected: () => context.connected(),
  });
}

async function keepWatching(watch: ResourceWatch, context: SourceContext, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await keepTrying(
      async () => {
        try {
          await watch.once(signal);
          return true;
        } catch (error) {
          if (!signal.aborted) context.lost(error);
          return false;
        }
      },
      WAIT_MS,
      signal,
    );
    await sleep(PAUSE_MS, signal);
  }
}

/** What each watch has reached, as it is kept. */
class Notes {
  readonly #context: SourceContext;
  #reached: Record<string, Reached> = {};
  #changed = false;

  constructor(context: SourceContext) {
    this.#context = context;
  }

  async load(): Promise<void> {
    const text = await this.#context.cursor.load();
    try {
      const { watches } = JSON.parse(text ?? "{}") as { watches?: Record<string, Reached> };
      if (typeof watches === "object" && watches !== null) this.#reached = { ...watches };
    } catch {
      // Of another type of source.
    }
  }

  get(key: string): Reached | undefined {
    return this.#reached[key];
  }

  set(key: string, version: string): void {
    this.#reached[key] = { version, at: this.#context.now() };
    this.#changed = true;
  }

  /** @throws {FaasError} `conflict` when somebody else has saved: only one of them is to go on */
  async save(): Promise<void> {
    if (!this.#changed) return;
    this.#changed = false;
    try {
      await this.#context.cursor.save(JSON.stringify({ watches: this.#reached }));
    } catch (error) {
      this.#changed = true;
      throw error;
    }
  }

  async keepSaving(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(SAVE_EVERY_MS, signal);
      await this.save();
    }
  }
}
