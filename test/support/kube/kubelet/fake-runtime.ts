import type { Pod } from "../workloads.ts";
import type { ContainerSpec, Exit, RunningContainer, Runtime } from "./runtime.ts";

/** Runs nothing, and says that it does: for thousands of pods. Addresses are as in a cluster, and nobody answers there. */
export class FakeRuntime implements Runtime {
  readonly instant = true;
  readonly #missing = new Set<string>();
  readonly #running = new Map<string, FakeContainer>();
  #onImage: () => void = () => {};
  #next = 0;

  /** Makes an image one that cannot be pulled; all others can. */
  withholdImage(image: string): void {
    this.#missing.add(image);
  }

  releaseImage(image: string): void {
    this.#missing.delete(image);
    this.#onImage();
  }

  /** Lets the container of a pod end with a code, as if it had crashed. */
  crash(podUid: string, code: number): void {
    this.#running.get(podUid)?.end({ code, signal: 0 });
  }

  hasImage(image: string): boolean {
    return !this.#missing.has(image);
  }

  onImage(listener: () => void): void {
    this.#onImage = listener;
  }

  allocateIp(): Promise<string> {
    this.#next += 1;
    return Promise.resolve(`10.${244 + (this.#next >> 16)}.${(this.#next >> 8) & 255}.${this.#next & 255}`);
  }

  releaseIp(): void {}

  start(pod: Pod, _container: ContainerSpec, _ip: string, output: (line: string) => void): Promise<RunningContainer> {
    output("started");
    const container = new FakeContainer();
    this.#running.set(pod.metadata.uid, container);
    return Promise.resolve(container);
  }

  removePod(uid: string): Promise<void> {
    this.#running.delete(uid);
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

  remount(): Promise<void> {
    return Promise.resolve();
  }
}
