import type { BuildEvent } from "../../../contract/build.ts";
import type { Platform } from "../../../oci/manifests.ts";
import type { RegistryClient } from "../../../oci/registry-client.ts";

/** A build whose Dockerfile has steps that need a container. */
export interface StepsBuild {
  /** A build context as it is laid out, with its Dockerfile. */
  readonly folder: string;
  /** What to push: a whole name. */
  readonly image: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly platforms: readonly Platform[];
  /** Folder of temporary files. */
  readonly tmp: string;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly clientOf: (registry: string) => RegistryClient;
}

/** Runs the steps of Dockerfiles where there is something that can, and pushes what comes of them. */
export interface StepsBuilder {
  /** Ends with a `success` or `failed` event. */
  build(job: StepsBuild, signal: AbortSignal): AsyncIterable<BuildEvent>;
}
