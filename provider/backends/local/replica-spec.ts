import { join } from "node:path";
import { FaasError } from "../../../contract/errors.ts";
import { isOffNetwork, OFF_NETWORK_NEEDS } from "../network-annotation.ts";
import { parseQuantity } from "../quantity.ts";
import type { StoredFunction } from "./definition.ts";
import { buildProcessEnvironment } from "./environment.ts";
import { ensureFolder, sweepFolder } from "./files.ts";
import { enforcedMemory, heapArguments } from "./memory-limit.ts";
import type { OrphanProcesses } from "./orphan-processes.ts";
import type { ProcessSpec } from "./replica-process.ts";
import type { WorkingCopy } from "./sandbox/disk-guard.ts";
import { MAX_PROCESSES } from "./sandbox/harness.ts";
import type { Isolation } from "./sandbox/isolation.ts";
import { permissionsBehindWall, permissionsWithoutWall } from "./sandbox/permissions.ts";
import { buildProcessHooks } from "./sandbox/process-hooks.ts";
import { openRelay, SOCKET } from "./sandbox/relay.ts";
import { type Cell, INSIDE } from "./sandbox/wall.ts";
import type { Workspace } from "./workspace.ts";

/** What replicas of all functions have in common. */
export interface SpecSettings {
  readonly nodePath: string;
  readonly watchdogPath: string;
  /** Put before the command of replicas that run their handler in the watchdog; see `findDeathSignal`. */
  readonly deathSignal: readonly string[];
  readonly orphans: Pick<OrphanProcesses, "mark" | "kill">;
  readonly isolation: Isolation;
  /** The platform's own environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where functions reach the gateway, as far as that is known by now. */
  readonly gatewayUrl?: (() => string | undefined) | undefined;
}

/** A replica to start. */
export interface ReplicaPlan {
  readonly record: StoredFunction;
  readonly instance: string;
  readonly workspace: Workspace;
  /** Programs from outside the usual folders, see `Isolation`. */
  readonly programs: readonly string[];
  /** A folder of its own. */
  readonly tmp: string;
  /** All that belongs to the deployed version, `tmp` and its code among it; and what the code was copied from. */
  readonly copy: WorkingCopy;
  /** Its code has to be copied anew. */
  onSpoiled(): void;
}

/**
 * Makes everything ready for a replica's process.
 * @throws {FaasError} `unavailable` where it must not run like this; file system errors
 */
export async function prepareReplica(settings: SpecSettings, plan: ReplicaPlan): Promise<ProcessSpec> {
  const { isolation, orphans, deathSignal } = settings;
  const { record, instance, workspace, programs, tmp } = plan;
  const { deployment } = record;
  const { wall, guard } = isolation;
  const offNetwork = isOffNetwork(deployment);
  if (offNetwork && !wall) throw new FaasError("unavailable", OFF_NETWORK_NEEDS);

  const inside = wall
    ? { code: wall.codeFolder, secrets: INSIDE.secrets, tmp: INSIDE.tmp }
    : { code: workspace.code, secrets: workspace.secrets, tmp };
  const run = join(tmp, "run");
  const location = { ...inside, mark: orphans.mark(instance) };
  const env = buildProcessEnvironment(
    settings.environment,
    workspace.descriptor.env,
    deployment,
    location,
    settings.gatewayUrl?.(),
  );
  // Where it listens is ours to say.
  if (offNetwork) env.listen_socket = join(INSIDE.run, SOCKET);
  else delete env.listen_socket;
  const inproc = env.mode === "inproc";
  const readOnly = deployment.readOnlyRootFilesystem ?? false;
  const cell = async (): Promise<Cell> => ({
    code: workspace.code,
    readOnly,
    secrets: workspace.secrets,
    ...(offNetwork && { run }),
    programs,
    network: !offNetwork,
  });
  const memoryBytes = enforcedMemory(deployment.limits?.memory);
  const cpu = parseQuantity(deployment.limits?.cpu ?? "") || undefined;
  const limits = { ...(memoryBytes && { memoryBytes }), ...(cpu && { cpu }) };

  await ensureFolder(offNetwork ? run : tmp);
  const relay = offNetwork ? await openRelay(run) : undefined;
  const enclosed = isolation.enclose(
    instance,
    cell,
    nodeCommand(settings, plan, env),
    limits,
    inproc ? deathSignal : [],
  );
  const { command, group } = await enclosed.catch((error) => {
    relay?.close();
    throw error;
  });
  const [program = "", ...args] = command;
  return {
    command: program,
    args,
    cwd: workspace.code,
    env,
    enclosed: wall !== undefined,
    // Behind a wall they end with their namespace.
    ...(!wall && { killOrphans: () => orphans.kill(instance) }),
    hooks: buildProcessHooks({
      guard,
      bounds: {
        ...(memoryBytes && !isolation.holds("memory") && { memoryBytes }),
        ...(!isolation.boundsProcesses && { processes: MAX_PROCESSES }),
      },
      group,
      disk: wall && readOnly ? undefined : { guard: isolation.disk, copy: plan.copy, onExcess: () => clear(plan) },
      memoryLimit: memoryBytes ? deployment.limits?.memory : undefined,
      relay,
    }),
  };
}

async function clear({ tmp, onSpoiled }: ReplicaPlan): Promise<void> {
  onSpoiled();
  await sweepFolder(tmp, () => false);
}

/** Node with the watchdog, and what holds a handler in its process. */
function nodeCommand(
  { nodePath, watchdogPath, isolation }: SpecSettings,
  { record, workspace, tmp }: ReplicaPlan,
  env: Readonly<Record<string, string>>,
): string[] {
  const { limits, readOnlyRootFilesystem: readOnly = false } = record.deployment;
  const { wall, readable, hidden } = isolation;
  const { code, secrets } = workspace;
  let permissions: string[] = [];
  if (env.mode === "inproc" && wall) permissions = permissionsBehindWall();
  else if (env.mode === "inproc" && readable) {
    const [major = 0] = process.versions.node.split(".").map(Number);
    const allowance = { code, readOnly, secrets, tmp, watchdog: watchdogPath, system: readable, hidden };
    permissions = permissionsWithoutWall(allowance, major);
  }
  return [nodePath, ...heapArguments(limits?.memory, env), ...permissions, watchdogPath];
}
