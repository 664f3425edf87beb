import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isOutOfSpace } from "../../../contract/shortages.ts";
import { readTimeoutAnnotation } from "../../../contract/timeouts.ts";
import { sensitiveValues } from "../redact.ts";
import type { StoredFunction } from "./definition.ts";
import { drainGraceMs, longestCallMs, programsOf } from "./environment.ts";
import { ensureFolder, namesIn } from "./files.ts";
import type { ProcessSpec } from "./replica-process.ts";
import { prepareReplica, type SpecSettings } from "./replica-spec.ts";
import { generationFolder, prepareWorkspace, type Workspace, writeSecret } from "./workspace.ts";

export interface GenerationSettings extends SpecSettings {
  artefactPath(digest: string): string;
  /** Undefined when there is no such secret. */
  readSecret(namespace: string, name: string): Promise<Buffer | undefined>;
}

export interface GenerationOptions {
  /** Folder of the function. */
  readonly home: string;
  readonly record: StoredFunction;
  readonly settings: GenerationSettings;
  /** Done before its files are written. */
  readonly before: (() => Promise<void>) | undefined;
  /** Called once its files are there. */
  readonly onPrepared: () => void;
}

/** Folder of one replica's temporary files. */
export function tmpFolder(home: string, generation: number, instance: string): string {
  return join(generationFolder(home, generation), "tmp", instance);
}

/** One deployed version of a function and its files, for as long as a replica of it runs or may be started. */
export class FunctionGeneration {
  readonly record: StoredFunction;
  /** Environment of its artefact, once that has been read. */
  artefactEnv: Readonly<Record<string, string>> = {};
  /** How long a replica has for its last calls, and the longest that a call may take; 0 until one was prepared. */
  graceMs = 0;
  longestCallMs = 0;
  readonly #options: GenerationOptions;
  #workspace: Promise<Workspace> | undefined;
  /** Paths of programs that its sandbox has to show. */
  #programs: readonly string[] | undefined;
  /** Its code has been written to without end: the next replica gets a copy anew. */
  #spoiled = false;

  constructor(options: GenerationOptions) {
    this.#options = options;
    this.record = options.record;
  }

  /** What came of preparing its files; undefined when that failed or was not begun. Never rejects. */
  get settled(): Promise<Workspace | undefined> {
    return this.#workspace?.catch(() => undefined) ?? Promise.resolve(undefined);
  }

  /** Its files, made by the first who asks. */
  prepare(): Promise<Workspace> {
    const { before, onPrepared } = this.#options;
    const renew = this.#spoiled;
    if (renew) this.#workspace = undefined;
    this.#spoiled = false;
    this.#workspace ??= (before ? before().then(() => this.#copy(renew)) : this.#copy(renew))
      .then((workspace) => {
        this.artefactEnv = workspace.descriptor.env;
        onPrepared();
        return workspace;
      })
      .catch((error) => {
        // The next attempt starts over.
        this.#workspace = undefined;
        throw error;
      });
    return this.#workspace;
  }

  #copy(renew: boolean): Promise<Workspace> {
    const { home, record, settings } = this.#options;
    return prepareWorkspace({
      renew,
      home,
      generation: record.generation,
      artefact: settings.artefactPath(record.digest),
      secrets: record.deployment.secrets ?? [],
      readSecret: (name) => settings.readSecret(record.namespace, name),
    });
  }

  /** Replaces the value of a secret that it was deployed with. */
  async refreshSecret(name: string, value: Buffer): Promise<void> {
    if (!this.record.deployment.secrets?.includes(name)) return;
    const ready = await this.settled;
    // One that is still to be prepared reads the new value by itself.
    if (ready) await writeSecret(this.#options.home, ready.secrets, name, value);
  }

  /** How to start one replica of it. */
  async specOf(instance: string): Promise<ProcessSpec> {
    const { home, record, settings } = this.#options;
    const workspace = await this.prepare();
    this.#programs ??= await settings.isolation.pathsOf(programsOf(workspace.descriptor, record));
    const programs = this.#programs;
    const spec = await prepareReplica(settings, {
      record,
      instance,
      workspace,
      programs,
      tmp: await this.#ensureTmp(instance),
      copy: {
        folder: generationFolder(home, record.generation),
        artefact: settings.artefactPath(record.digest),
      },
      onSpoiled: () => {
        this.#spoiled = true;
      },
    });
    const told = readTimeoutAnnotation(record.deployment.annotations ?? {}) ?? 0;
    this.graceMs = drainGraceMs(spec.env);
    this.longestCallMs = Math.max(longestCallMs(spec.env), told);
    return spec;
  }

  /** What its output must not show. */
  async secretValues(): Promise<string[]> {
    const given = sensitiveValues(this.record.deployment.envVars ?? {});
    const ready = await this.settled;
    if (!ready) return given;
    const files = await namesIn(ready.secrets);
    const values = await Promise.all(files.map((file) => readFile(join(ready.secrets, file), "utf8")));
    return [...given, ...sensitiveValues(ready.descriptor.env), ...values];
  }

  /** A folder of its own; when there is no room even for that, it has to do with the one that is there for all. */
  async #ensureTmp(instance: string): Promise<string> {
    const own = tmpFolder(this.#options.home, this.record.generation, instance);
    try {
      await ensureFolder(own);
      return own;
    } catch (error) {
      if (!isOutOfSpace(error)) throw error;
      return dirname(own);
    }
  }
}
