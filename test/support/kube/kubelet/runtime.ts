import type { Container, Pod } from "../workloads.ts";

export interface Exit {
  readonly code: number;
  /** As a number; 0 when it ended by itself. */
  readonly signal: number;
}

/** A container that runs. */
export interface RunningContainer {
  readonly ended: Promise<Exit>;
  terminate(): void;
  kill(): void;
  /** Resolves to whether a probe succeeded, in time. */
  probe(probe: NonNullable<Container["readinessProbe"]>): Promise<boolean>;
}

/** What mounts and variables need to be made; its failures are shown as the pod's state. */
export class StartError extends Error {
  override readonly name = "StartError";
  /** As `CreateContainerConfigError`, or undefined while the pod just waits for its volumes. */
  readonly reason: string | undefined;

  constructor(reason: string | undefined, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** How a node runs containers. */
export interface Runtime {
  /** An address for a pod. */
  allocateIp(): string;
  releaseIp(ip: string): void;
  hasImage(image: string): boolean;
  /** @throws {StartError} when something that it needs is missing */
  start(pod: Pod, container: Container, ip: string, output: (text: string) => void): Promise<RunningContainer>;
  /** Whether containers take no time and need no probing: everything of them then happens at once. */
  readonly instant: boolean;
  removePod(pod: Pod): Promise<void>;
  close(): Promise<void>;
}
