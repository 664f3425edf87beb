import type { Container, Pod } from "../workloads.ts";
import type { Exit, RunningContainer, Runtime } from "./runtime.ts";

/** Runs nothing, and says that it does: for thousands of pods. Addresses are as in a cluster, and nobody answers there. */
export class FakeRuntime implements Runtime {
  readonly instant = true;
  /** Images that cannot be pulled. */
  readonly missing = new Set<string>();
  readonly #running = new Map<string, FakeContainer>();
  #next = 0;

  allocateIp(): string {
    this.#next += 1;
    return `10.${244 + (this.#next >> 16)}.${(this.#next >> 8) & 255}.${this.#next & 255}`;
  }

  releaseIp(): void {}

  hasImage(image: string): boolean {
    return !this.missing.has(image);
  }

  start(pod: Pod, _container: Container, _ip: string, output: (text: string) => void): Promise<RunningContainer> {
    output("started");
    const container = new FakeContainer();
    this.#running.set(pod.metadata.uid, container);
    return Promise.resolve(container);
  }

  /** Lets the container of a pod end with a code, as if it had crashed. */
  crash(pod: { readonly metadata: { readonly uid: string } }, code: number): void {
    this.#running.get(pod.metadata.uid)?.end({ code, signal: 0 });
  }

  removePod(pod: Pod): Promise<void> {
    this.#running.delete(pod.metadata.uid);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class FakeContainer implements RunningContainer {
  readonly #end = Promise.withResolvers<Exit>();
  readonly ended = this.#end.promise;

  end(exit: Exit): void {
    this.#end.resolve(exit);
  }

  terminate(): void {
    this.end({ code: 0, signal: 0 });
  }

  kill(): void {
    this.end({ code: 137, signal: 9 });
  }

  probe(): Promise<boolean> {
    return Promise.resolve(true);
  }
}
