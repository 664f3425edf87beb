import type { Pod, Probe } from "../workloads.ts";

export interface Exit {
  /** As a shell would tell it: 128 and the signal's number when it was killed. */
  readonly code: number;
  /** As a number; 0 when it ended by itself. */
  readonly signal: number;
  /** What it has left at its `terminationMessagePath`. */
  readonly message?: string;
}

/** A container to run, with all that it refers to looked up. */
export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  /** Replaces what the image runs. */
  readonly command: readonly string[] | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  /** By name, for probes. */
  readonly ports: Readonly<Record<string, number>>;
  readonly terminationMessagePath: string | undefined;
}

export interface Mount {
  readonly mountPath: string;
  /** Contents by path; undefined is an empty folder to write to. */
  readonly files: ReadonlyMap<string, Buffer> | undefined;
}

/** A container that runs. */
export interface RunningContainer {
  readonly ended: Promise<Exit>;
  terminate(): void;
  kill(): void;
  /** Resolves to whether it succeeded, in time. */
  probe(probe: Probe): Promise<boolean>;
  /** What is mounted has changed. */
  remount(mounts: readonly Mount[]): Promise<void>;
}

/** Something that a container needs is missing; it is tried again. */
export class StartError extends Error {
  override readonly name = "StartError";
  /** As `CreateContainerConfigError`, which the pod then shows; undefined while it just waits for its volumes. */
  readonly reason: string | undefined;

  constructor(reason: string | undefined, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** How nodes run containers. */
export interface Runtime {
  /** Whether containers take no time and need no probing: everything of them then happens at once. */
  readonly instant: boolean;
  hasImage(image: string): boolean;
  /** Tells when there is another image. */
  onImage(listener: () => void): void;
  /** An address for a pod. @throws when there is none left */
  allocateIp(): Promise<string>;
  releaseIp(ip: string): void;
  start(pod: Pod, container: ContainerSpec, ip: string, output: (line: string) => void): Promise<RunningContainer>;
  /** Gives up what was kept for a pod. */
  removePod(uid: string): Promise<void>;
  close(): Promise<void>;
}
