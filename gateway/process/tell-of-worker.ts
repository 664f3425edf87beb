import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { UiWorker } from "../../contract/ui/platform.ts";
import type { Logger } from "../../kit/log.ts";
import { NatsQuestions } from "../cluster/nats-questions.ts";
import { openLink } from "../nats/connection.ts";
import { LateLink } from "../nats/late-link.ts";
import { followNatsCredentials } from "./secret-files.ts";

export interface WorkerPresence extends Pick<UiWorker, "kind" | "release"> {
  /** `nats://host:port` or `tls://host:port`, of one cluster. */
  readonly servers: readonly string[];
  readonly secretMountPath: string;
  /** Why it is not healthy. */
  problem(): string | undefined;
  readonly log: Logger;
}

/** Tells gateways that ask of this worker, so that dashboards can show it. Needs no NATS to be there. */
export function tellOfWorker({ servers, secretMountPath, kind, release, problem, log }: WorkerPresence): {
  close(): Promise<void>;
} {
  const credentials = followNatsCredentials(secretMountPath);
  const link = new LateLink({ open: () => openLink({ servers, log }, credentials, { noEcho: true }), log });
  const name = `${hostname()}-${randomUUID().slice(0, 8)}`;
  const startedAt = Date.now();
  new NatsQuestions(link, name, log).onQuestion((question) => {
    if ((question as { kind?: unknown } | null)?.kind !== "worker") return undefined;
    const why = problem();
    const worker: UiWorker = { name, kind, release, startedAt, ...(why !== undefined && { problem: why }) };
    return JSON.stringify(worker);
  });
  return { close: () => link.close() };
}
