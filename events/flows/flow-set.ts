import { decodeFlowSpec } from "../../contract/events/flow-spec.ts";
import type { Logger } from "../../kit/log.ts";
import { FollowedDocuments } from "../store/followed-documents.ts";
import type { EventResource, ResourceStore } from "../store/resource-store.ts";
import { problemTrigger } from "../triggers/problem-trigger.ts";
import type { Trigger, TriggerSet } from "../triggers/trigger.ts";
import { stepTriggerId } from "./flow-events.ts";
import { type FlowDeps, FlowSteps } from "./flow-steps.ts";
import { buildFlowTriggers } from "./flow-triggers.ts";
import { planFlow } from "./plan.ts";

/** A declared flow as it works. */
interface WorkingFlow {
  readonly version: number;
  readonly steps?: FlowSteps;
  readonly triggers: readonly Trigger[];
}

export interface FlowSetOptions extends FlowDeps {
  readonly resources: Pick<ResourceStore, "list" | "watch">;
  /** A namespace has a flow, which it had not before. */
  readonly onNamespace: (namespace: string) => void;
  readonly log: Pick<Logger, "warn">;
}

/** The triggers of all declared flows, kept current. */
export class FlowSet implements TriggerSet {
  readonly ready: Promise<void>;
  readonly #options: FlowSetOptions;
  readonly #documents: FollowedDocuments;
  readonly #listeners = new Set<() => void>();
  readonly #namespaces = new Set<string>();
  #flows: ReadonlyMap<string, WorkingFlow> = new Map();

  constructor(options: FlowSetOptions) {
    this.#options = options;
    this.#documents = new FollowedDocuments(options.resources, "flow", options.log);
    this.#documents.onChange(() => this.#refresh());
    this.ready = this.#documents.ready;
  }

  get all(): readonly Trigger[] {
    return [...this.#flows.values()].flatMap(({ triggers }) => triggers);
  }

  /** Undefined for one that is not declared, or not sound. */
  find(namespace: string, name: string): FlowSteps | undefined {
    return this.#flows.get(`${namespace}/${name}`)?.steps;
  }

  /** Resolves once they are no older than this call. */
  refresh(): Promise<void> {
    return this.#documents.refresh();
  }

  #refresh(): void {
    const before = this.#flows;
    this.#flows = new Map(
      this.#documents.all.map((document) => {
        const key = `${document.namespace}/${document.name}`;
        const known = before.get(key);
        return [key, known?.version === document.version ? known : this.#read(document)];
      }),
    );
    for (const { namespace } of this.#documents.all) {
      if (this.#namespaces.has(namespace)) continue;
      this.#namespaces.add(namespace);
      this.#options.onNamespace(namespace);
    }
    for (const listener of this.#listeners) listener();
  }

  #read({ namespace, name, spec, version }: EventResource): WorkingFlow {
    const declared = String(version);
    try {
      const steps = new FlowSteps(planFlow(decodeFlowSpec(spec), { namespace, name }), this.#options);
      return { version, steps, triggers: buildFlowTriggers(steps, declared) };
    } catch (err) {
      this.#options.log.warn({ flow: `${namespace}/${name}`, err }, "a declared flow is not sound");
      const id = stepTriggerId({ namespace, name }, "start");
      const subscriber = { kind: "uri", uri: "" } as const;
      return { version, triggers: [{ ...problemTrigger({ id, namespace, subscriber }, err), declared }] };
    }
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#documents.close();
  }
}
