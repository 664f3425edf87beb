import { FaasError } from "../../contract/errors.ts";
import type { RunState } from "../../contract/events/flow-run.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import type { Run } from "./run.ts";
import type { StepError } from "./step-error.ts";

/** What is known of one part of a fan-out. */
export interface PartRecord {
  readonly visit: number;
  readonly tries: number;
  readonly error?: StepError;
  /** What it has given, as JSON; what is too large for that lies beside it, see {@link RunStore.putBytes}. */
  readonly text?: string;
}

export interface NamedRun {
  readonly namespace: string;
  readonly name: string;
  readonly run: Run;
}

/** A run that this process has begun, or brought to its end. */
export interface SeenRun {
  readonly namespace: string;
  readonly flow: string;
  /** Absent for one that has begun. */
  readonly ended?: { readonly state: Exclude<RunState, "running">; readonly durationMs: number };
}

export type ObserveRun = (seen: SeenRun) => void;

/** Tries at a document that others change as well. */
const MAX_TRIES = 50;
/** Documents that are asked for together. */
const AT_A_TIME = 50;
/** What a document may well have beside the rest: characters, each of which may take several bytes. */
const MAX_TEXT_CHARS = 16 * 1024;
/** In base64 a slice stays below what a document may have. */
const SLICE_BYTES = 150 * 1024;

type RunResources = Pick<ResourceStore, "get" | "put" | "list" | "remove">;

/** Where runs are kept, and what their steps give that has no room there. */
export class RunStore {
  readonly #resources: RunResources;
  readonly #observe: ObserveRun;

  constructor(resources: RunResources, observe: ObserveRun = () => {}) {
    this.#resources = resources;
    this.#observe = observe;
  }

  async get(namespace: string, name: string): Promise<Run | undefined> {
    return (await this.#resources.get({ kind: "run", namespace, name }))?.spec as Run | undefined;
  }

  async list(namespace?: string): Promise<NamedRun[]> {
    const documents = await this.#resources.list("run", namespace);
    return documents.map((document) => ({
      namespace: document.namespace,
      name: document.name,
      run: document.spec as Run,
    }));
  }

  /** @returns the one that is there */
  async create(namespace: string, name: string, run: Run): Promise<Run> {
    try {
      await this.#resources.put({ kind: "run", namespace, name, spec: run }, 0);
      this.#observe({ namespace, flow: run.flow });
      return run;
    } catch (error) {
      if (!(error instanceof FaasError) || error.kind !== "conflict") throw error;
      return (await this.get(namespace, name)) ?? run;
    }
  }

  /**
   * Changes a run as it is then; nothing is written when `change` gives the same.
   * @returns the run as it is now, undefined where there is none
   */
  async change(namespace: string, name: string, change: (run: Run) => Run): Promise<Run | undefined> {
    for (let tries = 1; ; tries++) {
      const document = await this.#resources.get({ kind: "run", namespace, name });
      if (!document) return undefined;
      const before = document.spec as Run;
      const after = change(before);
      if (after === before) return before;
      try {
        await this.#resources.put({ kind: "run", namespace, name, spec: after }, document.version);
        if (before.state === "running") this.#observeEnd(namespace, after);
        return after;
      } catch (error) {
        if (!(error instanceof FaasError) || error.kind !== "conflict") throw error;
        if (tries >= MAX_TRIES) throw new FaasError("unavailable", "the run is changed too often", { cause: error });
      }
    }
  }

  #observeEnd(namespace: string, { flow, state, startedAt, endedAt = startedAt }: Run): void {
    if (state === "running") return;
    this.#observe({ namespace, flow, ended: { state, durationMs: Math.max(0, endedAt - startedAt) } });
  }

  async part(namespace: string, key: string): Promise<PartRecord | undefined> {
    return (await this.#resources.get({ kind: "result", namespace, name: key }))?.spec as PartRecord | undefined;
  }

  async putPart(namespace: string, key: string, spec: PartRecord): Promise<void> {
    await this.#resources.put({ kind: "result", namespace, name: key, spec });
  }

  /** What a part has given. @param text JSON */
  async putResult(namespace: string, key: string, record: PartRecord, text: string): Promise<void> {
    if (text.length <= MAX_TEXT_CHARS) return await this.putPart(namespace, key, { ...record, text });
    await this.putBytes(namespace, key, Buffer.from(text));
    await this.putPart(namespace, key, record);
  }

  /** What parts have given, in the order of their keys; undefined for what is gone. */
  async getResults(namespace: string, keys: readonly string[]): Promise<(string | undefined)[]> {
    const results: (string | undefined)[] = [];
    for (let start = 0; start < keys.length; start += AT_A_TIME) {
      const some = keys.slice(start, start + AT_A_TIME).map(async (key) => {
        const part = await this.part(namespace, key);
        return part?.text ?? (await this.getBytes(namespace, key))?.toString();
      });
      results.push(...(await Promise.all(some)));
    }
    return results;
  }

  /** Bytes that are larger than a document may be, as several. */
  async putBytes(namespace: string, key: string, bytes: Uint8Array): Promise<void> {
    for (let start = 0, slice = 0; slice === 0 || start < bytes.length; start += SLICE_BYTES, slice++) {
      const text = Buffer.from(bytes.subarray(start, start + SLICE_BYTES)).toString("base64");
      const spec = { size: bytes.length, text };
      await this.#resources.put({ kind: "result", namespace, name: `${key}.s${slice}`, spec });
    }
  }

  async getBytes(namespace: string, key: string): Promise<Buffer | undefined> {
    const slices: Buffer[] = [];
    for (let got = 0, size = 1; got < size; ) {
      const document = await this.#resources.get({ kind: "result", namespace, name: `${key}.s${slices.length}` });
      if (!document) return undefined;
      const spec = document.spec as { size: number; text: string };
      const slice = Buffer.from(spec.text, "base64");
      slices.push(slice);
      got += slice.length;
      size = spec.size;
      if (slice.length === 0) break;
    }
    return Buffer.concat(slices);
  }

  async removeBytes(namespace: string, key: string): Promise<void> {
    for (let slice = 0; ; slice++) {
      if (!(await this.#resources.remove({ kind: "result", namespace, name: `${key}.s${slice}` }))) return;
    }
  }

  /** With all that its steps gave. */
  async remove(namespace: string, name: string, run: Run): Promise<void> {
    const parts = Object.entries(run.joins).flatMap(([step, { parts }]) =>
      Array.from(parts, (_, part) => partKey(name, step, part)),
    );
    const inputs = Object.keys(run.steps).map((step) => inputKey(name, step));
    const keys = [...parts, ...inputs];
    for (let start = 0; start < keys.length; start += AT_A_TIME) {
      const some = keys.slice(start, start + AT_A_TIME).map(async (key) => {
        const part = this.#resources.remove({ kind: "result", namespace, name: key });
        await Promise.all([part, this.removeBytes(namespace, key)]);
      });
      await Promise.all(some);
    }
    await this.#resources.remove({ kind: "run", namespace, name });
  }
}

export function partKey(run: string, step: string, part: number): string {
  return `${run}.${step}.${part}`;
}

/** Of a step's input that the ledger does not keep. */
export function inputKey(run: string, step: string): string {
  return `${run}.${step}.input`;
}
