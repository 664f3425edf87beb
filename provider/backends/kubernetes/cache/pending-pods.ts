import type { V1Pod } from "@kubernetes/client-node";
import { qualifiedName } from "../../../../contract/functions.ts";
import type { Answering } from "../resources/endpoints.ts";
import { announcedTarget, probeTarget } from "../resources/probe-target.ts";
import { Announcements, type HeardAnnouncement } from "./announcements.ts";
import { ReadinessProber } from "./prober.ts";
import { Startups, type StartupsOptions } from "./startups.ts";

export interface PendingPodsOptions extends StartupsOptions {
  /** A pod answers. */
  onAnswer(key: string): void;
}

/** What we find out about pods ourselves, ahead of what the API tells: where they are, and whether they answer. */
export class PendingPods {
  readonly #options: PendingPodsOptions;
  readonly #prober: ReadinessProber;
  readonly #startups: Startups;
  readonly #announcements = new Announcements();
  /** Addresses that pods have announced, until the API shows one. */
  readonly #announced = new Map<string, string>();
  /** Pods that answered, with the address that did. */
  readonly #answering = new Map<string, string>();

  constructor(options: PendingPodsOptions) {
    this.#options = options;
    this.#startups = new Startups(options);
    this.#prober = new ReadinessProber((key, ip) => {
      this.#answering.set(key, ip);
      this.#startups.offer(key);
      options.onAnswer(key);
    });
  }

  /**
   * What the API shows of a pod.
   * @param owner `name.namespace` of its function
   * @param isNew it was not known before
   */
  see(key: string, owner: string, pod: V1Pod, isNew: boolean): void {
    this.#startups.see(key, owner, pod, isNew);
    const held = this.#announcements.take(key, owner, this.#options.now());
    if (held) this.hear(key, pod, held);
    const target = probeTarget(pod, this.#announced.get(key));
    // Once its kubelet has seen it Ready, what the kubelet says counts; and who has crashed has to answer anew.
    if (!target) this.#answering.delete(key);
    // What the API shows counts from then on.
    if (!target || pod.status?.podIP) this.#announced.delete(key);
    this.#prober.watch(key, target);
  }

  /** An announcement of a pod that the API has not shown yet. */
  hold(key: string, heard: HeardAnnouncement): void {
    this.#announcements.hold(key, heard);
  }

  /** It is asked at once, at the address that it came from unless the API knows better, and offered if it answers. */
  hear(key: string, pod: V1Pod, heard: HeardAnnouncement): void {
    const { podIP } = pod.status ?? {};
    const target = probeTarget(pod, heard.address);
    if (!target || (podIP && podIP !== heard.address)) return;
    this.#startups.announced(key, heard);
    if (!podIP) this.#announced.set(key, heard.address);
    if (this.#answering.get(key) === target.ip) return;
    const asked = announcedTarget(target);
    // A delay that has begun goes on.
    if (asked.delayMs > 0) this.#prober.watch(key, asked);
    else this.#prober.expedite(key, asked);
  }

  /** The pod is gone, or another one of its name has come. */
  forget(key: string): void {
    this.#answering.delete(key);
    this.#announced.delete(key);
    this.#startups.forget(key);
    this.#prober.watch(key, undefined);
  }

  /** What is known of the pods of a namespace. */
  in(namespace: string): Answering {
    const keyOf = (name: string) => qualifiedName({ name, namespace });
    return {
      has: (name, ip) => this.#answering.get(keyOf(name)) === ip,
      addressOf: (name) => this.#announced.get(keyOf(name)),
      // Most of the time nobody is starting, and there are thousands of pods to ask for.
      ...(this.#startups.tells && { startupOf: (name: string) => this.#startups.told(keyOf(name)) }),
    };
  }

  close(): void {
    this.#prober.close();
  }
}
