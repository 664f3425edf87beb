import { FaasError } from "../../contract/errors.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import type { LogMessage, LogQuery } from "../../contract/logs.ts";
import { versionedName } from "../../contract/versions/version-name.ts";
import type { Logger } from "../../kit/log.ts";
import type { Backend, ResolvedDeployment, VersionStore } from "../backends/backend.ts";
import { Follow } from "./follow.ts";
import { FunctionTurns } from "./function-turns.ts";
import { trackSecrets } from "./tracked-secrets.ts";
import { VersionControl } from "./version-control.ts";
import { VersionKeeper } from "./version-keeper.ts";
import { VersionView } from "./version-view.ts";
import { VersionedFunctions } from "./versioned-functions.ts";
import { mergeLogs } from "./versioned-logs.ts";

/** A backend whose functions may have versions. */
export interface VersionedBackend extends Backend {
  /** Absent where functions have one version. */
  readonly control?: VersionControl;
}

/** The backend with versions kept of its functions, where it has a place for them. */
export function withVersions(backend: Backend, log: Logger, now: () => number = Date.now): VersionedBackend {
  return backend.versions ? open(backend, backend.versions, log, now) : backend;
}

function open(backend: Backend, store: VersionStore, log: Logger, now: () => number): VersionedBackend {
  const { functions } = backend;
  const view = new VersionView(now);
  const turns = new FunctionTurns();
  const keeper = new VersionKeeper({ functions, store, view, log, now });
  const follow = new Follow({ backend, store, view, keeper, turns, log, now });
  const kick = (ref: FunctionRef) => follow.kick(ref);
  const parts = { functions, secrets: backend.secrets, store, keeper, view, turns, log, kick };
  const versioned = new VersionedFunctions(parts);
  const deploy = (deployment: ResolvedDeployment) => versioned.update(deployment);
  const secrets = trackSecrets({ secrets: backend.secrets, functions, deploy, log });
  backend.decideDeclared?.((deployment) => versioned.declare(deployment));
  let closing: Promise<void> | undefined;
  return {
    // The backend's own members may be anywhere on its prototypes.
    info: backend.info,
    functions: versioned,
    secrets,
    namespaces: backend.namespaces,
    versions: store,
    control: new VersionControl(parts),
    ...(backend.builder && { builder: backend.builder }),
    ...(backend.images && { images: backend.images }),
    ...(backend.coldStarts && { coldStarts: backend.coldStarts }),
    ...(backend.ingressRoutes && { ingressRoutes: backend.ingressRoutes.bind(backend) }),
    ...(backend.eventObjects && { eventObjects: backend.eventObjects }),
    ...(backend.announce && { announce: backend.announce.bind(backend) }),
    logs: (query, signal) => logsOf(backend, view, query, signal),
    watch: (signal) => follow.watch(signal),
    ...(backend.leave && {
      leave: async () => {
        if (view.hub.isFollowed) await backend.leave?.();
      },
    }),
    close(drainTimeoutMs) {
      closing ??= (async () => {
        await follow.stop();
        await backend.close(drainTimeoutMs);
        await follow.end();
      })();
      return closing;
    },
  };
}

/** Lines of the function's own replicas and of those of its versions, those that come later too. */
function logsOf(backend: Backend, view: VersionView, query: LogQuery, signal: AbortSignal): AsyncIterable<LogMessage> {
  const { name, namespace, follow } = query;
  const of = (version: string) => renamed(backend.logs({ ...query, name: versionedName(name, version) }, signal), name);
  const besides = name.includes("@") ? [] : view.besideOf({ name, namespace });
  if (besides.length === 0 && !follow) return backend.logs(query, signal);
  const listen = (add: (lines: AsyncIterable<LogMessage>) => void) =>
    view.onBeside({ name, namespace }, (version) => add(of(version)));
  return mergeLogs([backend.logs(query, signal), ...besides.map(of)], follow ? listen : undefined);
}

async function* renamed(lines: AsyncIterable<LogMessage>, name: string): AsyncGenerator<LogMessage> {
  try {
    for await (const line of lines) yield { ...line, name };
  } catch (error) {
    // It has been taken away in this moment.
    if (!(error instanceof FaasError) || error.kind !== "notFound") throw error;
  }
}
