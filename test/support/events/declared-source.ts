import { FaasError } from "../../../contract/errors.ts";
import { DocumentSources } from "../../../events/sources/document-sources.ts";
import { ALWAYS_ACTS, SourceRunner } from "../../../events/sources/source-runner.ts";
import { sourceTypes } from "../../../events/sources/source-types.ts";
import type { NewEvent } from "../../../events/store/event-store.ts";
import { createLogger } from "../../../kit/log.ts";
import { ANY_TARGET, CallbackTargets } from "../../../kit/outbound/targets.ts";
import { eventually } from "../eventually.ts";
import { FakeLog, FakeResources } from "./fake-stores.ts";

const NAMESPACE = "openfaas-fn";
const log = createLogger("silent");

/** A source as it is declared, run as in a platform; what it stores is in a list. */
export class RunningSource {
  readonly name: string;
  readonly log = new FakeLog();
  readonly #resources: FakeResources;
  readonly #documents: DocumentSources;
  readonly #runner: SourceRunner;

  private constructor(name: string, resources: FakeResources, secrets: Readonly<Record<string, string>>) {
    this.name = name;
    this.#resources = resources;
    this.#documents = new DocumentSources(resources, log);
    this.#runner = new SourceRunner({
      sets: [this.#documents],
      targets: new CallbackTargets(ANY_TARGET),
      lead: ALWAYS_ACTS,
      runs: { receiving: false, fetching: true },
      types: sourceTypes(),
      store: this.log,
      resources,
      readSecret: async (_namespace, secret) => {
        const text = secrets[secret];
        if (text === undefined) throw new FaasError("notFound", `there is no secret ${secret}`);
        return text;
      },
      now: Date.now,
      log,
    });
  }

  static async start(
    name: string,
    spec: object,
    secrets: Readonly<Record<string, string>> = {},
  ): Promise<RunningSource> {
    const resources = new FakeResources();
    await resources.put({ kind: "source", namespace: NAMESPACE, name, spec });
    return new RunningSource(name, resources, secrets);
  }

  /** Declares it anew. */
  async declare(spec: object): Promise<void> {
    await this.#resources.put({ kind: "source", namespace: NAMESPACE, name: this.name, spec });
  }

  get status() {
    const found = this.#runner.find(`source/${NAMESPACE}/${this.name}`);
    return found?.status ?? { state: "connecting" as const, events: 0, errors: 0 };
  }

  async connected(deadlineMs = 20_000): Promise<void> {
    const check = () => {
      if (this.status.state === "connected") return true;
      throw new Error(`it is ${JSON.stringify(this.status)}`);
    };
    await eventually(`${this.name} is connected`, check, deadlineMs);
  }

  /** @returns why */
  async failing(): Promise<string> {
    return await eventually(
      `${this.name} is failing`,
      () => (this.status.state === "failing" ? this.status.problem : undefined),
      20_000,
    );
  }

  async events(count: number): Promise<readonly NewEvent[]> {
    await eventually(`${count} events`, () => this.log.appended.length >= count, 20_000);
    return this.log.appended;
  }

  /** Data of all events, as text. */
  get texts(): readonly string[] {
    return this.log.appended.map(({ event }) => String(event.data));
  }

  async close(): Promise<void> {
    await this.#runner.close();
    this.#documents.close();
  }
}
