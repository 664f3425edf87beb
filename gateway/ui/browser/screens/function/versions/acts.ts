import type { TrafficTarget } from "../../../../../../contract/versions/traffic.ts";
import { type Act, command, option, withQuery } from "../../../act.ts";
import type { FunctionPart } from "../part.ts";

export type RolloutOrder = "approve" | "pause" | "resume" | "promote" | "abort";

interface Versions {
  readonly from: string;
  readonly to: string;
}

const TITLES: Readonly<Record<RolloutOrder, (versions: Versions) => string>> = {
  approve: ({ to }) => `Let ${to} go past this step`,
  pause: ({ to }) => `Pause the rollout of ${to}`,
  resume: ({ to }) => `Resume the rollout of ${to}`,
  promote: ({ to }) => `Promote ${to}`,
  abort: ({ to }) => `Abort the rollout of ${to}`,
};

const EFFECTS: Readonly<Record<RolloutOrder, (versions: Versions) => string>> = {
  approve: () => "The next step begins, with its share and its time. Conditions are looked at as before.",
  pause: () =>
    "Shares stay as they are until somebody resumes it. Its numbers are looked at all the same, and abort it when they are bad.",
  resume: () => "The step goes on with what is left of its time. Shares do not change by that.",
  promote: ({ to }) =>
    `All calls go to ${to} at once, whatever its numbers are. Calls that run at the other version end there.`,
  abort: ({ from, to }) =>
    `All calls go to ${from} at once. What ${to} has done, such as data that it has written, is not undone.`,
};

/** Of a rollout under way. @param step that is meant, for `approve` */
export function rolloutAct(
  { name, namespace }: FunctionPart,
  order: RolloutOrder,
  { from, to, step }: Versions & { readonly step: number },
  reason: string,
): Act {
  const said = reason.trim();
  const words = order === "promote" || order === "abort" ? [order] : ["rollout", order];
  return {
    title: TITLES[order]({ from, to }),
    action: `${order.slice(0, 1).toUpperCase()}${order.slice(1)}`,
    isDangerous: order === "abort",
    effect: EFFECTS[order]({ from, to }),
    cli: command("faaslane", ...words, name, ...option("-n", namespace), ...option("--reason", said)),
    request: {
      method: "POST",
      path: pathOf({ name, namespace }, "/rollout"),
      body: { action: order, ...(order === "approve" && { step }), ...(said !== "" && { reason: said }) },
    },
  };
}

/** @param targets as the API takes them; none leaves all calls to the latest version */
export function splitAct(
  { name, namespace }: FunctionPart,
  targets: readonly TrafficTarget[],
  { generation, reason }: { readonly generation: number; readonly reason: string },
): Act {
  const shares = targets.filter(({ share }) => share > 0).map(({ version, share }) => `${version}=${share / 100}`);
  const tags = targets.flatMap(({ version, tag }) => (tag === undefined ? [] : ["--tag", `${tag}=${version}`]));
  const said = reason.trim() || "by the dashboard";
  return {
    title: `Split the calls of ${name}`,
    action: "Split",
    effect:
      "Calls go to versions by these shares from now on; a rollout that is under way ends. Replicas of versions that lose their calls stay for a while.",
    cli: command("faaslane", "traffic", name, ...option("-n", namespace), ...shares, ...tags, "--reason", said),
    request: {
      method: "PUT",
      path: pathOf({ name, namespace }, "/traffic"),
      body: { generation, targets, reason: said },
    },
  };
}

export interface Rollback {
  /** A version or tag. */
  readonly to: string;
  readonly reason: string;
  readonly detach: boolean;
}

export function rollbackAct({ name, namespace }: FunctionPart, { to, reason, detach }: Rollback): Act {
  const said = reason.trim();
  return {
    title: `Roll ${name} back to ${to}`,
    action: "Roll back",
    effect: `All calls go to ${to} at once. What is bound to the function stays as it is: secrets, calls in the queue, data that it has written.`,
    cli: command(
      ...["faaslane", "rollback", name, ...option("-n", namespace), "--to", to],
      ...[detach ? "--detach" : undefined, ...option("--reason", said)],
    ),
    request: {
      method: "POST",
      path: pathOf({ name, namespace }, "/rollback"),
      body: { to, reason: said, ...(detach && { detach }) },
    },
  };
}

export function removeVersionAct(part: FunctionPart, version: string): Act {
  const path = pathOf(part, `/versions/${encodeURIComponent(version)}`);
  return {
    title: `Remove ${version}`,
    action: `Remove ${version}`,
    isDangerous: true,
    effect:
      "Nobody can roll back to it or call it any more. It is refused while it has calls, a tag, or calls in the queue that want it. Its image stays.",
    cli: `curl -u admin:$PASSWORD -X DELETE "$GATEWAY${path}"`,
    request: { method: "DELETE", path },
  };
}

/** Where a version or tag is called. */
export function callPath({ name, namespace }: FunctionPart, versionOrTag: string, defaultNamespace: string): string {
  return `/function/${name}@${versionOrTag}${namespace === defaultNamespace ? "" : `.${namespace}`}`;
}

function pathOf({ name, namespace }: FunctionPart, below: string): string {
  return withQuery(`/system/function/${encodeURIComponent(name)}${below}`, { namespace });
}
