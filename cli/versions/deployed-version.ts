import type { FunctionDeployment } from "../../contract/functions.ts";
import { ROLLOUT } from "../../contract/versions/rollout-settings.ts";
import { isUnderWay } from "../../contract/versions/rollout-state.ts";
import { formatPercent, TRAFFIC, type TrafficTarget } from "../../contract/versions/traffic.ts";
import type { GatewayClient } from "../client/gateway-client.ts";
import { type NamedFunction, VersionsClient } from "../client/versions-client.ts";

/** What of a function's versions its status does not say. */
export interface ServingVersions {
  /** The one that last had all calls. */
  readonly version: string;
  /** Absent where all calls go to that one. */
  readonly traffic?: readonly TrafficTarget[] | undefined;
}

/** Undefined for a gateway or provider that knows no versions. */
export async function servingVersions(
  client: Pick<GatewayClient, "ask">,
  fn: NamedFunction,
): Promise<ServingVersions | undefined> {
  const listed = await new VersionsClient(client).versions(fn).catch(() => undefined);
  if (!listed) return undefined;
  const { stable: version, traffic } = listed;
  const isSplit = traffic.length > 1 || traffic.some(({ tag }) => tag !== undefined);
  return { version, ...(isSplit && { traffic }) };
}

export function describeTarget({ version, share, tag }: TrafficTarget): string {
  return `${version} ${formatPercent(share)}%${tag === undefined ? "" : ` @${tag}`}`;
}

/** What a deploy has made of a function whose calls go to a new version bit by bit, or to several; undefined for others. */
export async function noteOfVersion(
  client: Pick<GatewayClient, "ask">,
  { service: name, namespace, annotations = {} }: FunctionDeployment,
): Promise<string | undefined> {
  const names = Object.keys(annotations);
  if (!names.some((each) => each === TRAFFIC || each === ROLLOUT)) return undefined;
  const versions = new VersionsClient(client);
  const fn = { name, namespace };
  // It is deployed; what came of it is worth a line, not a failure.
  const listed = await versions.versions(fn).catch(() => undefined);
  if (!listed) return undefined;
  const rollout = (await versions.rollout(fn).catch(() => undefined))?.rollout;
  if (rollout && isUnderWay(rollout)) {
    const next = `faaslane rollout status ${name} --watch`;
    return `Version: ${rollout.to}, on its way from ${rollout.from}; follow it with \`${next}\``;
  }
  const [newest] = listed.versions;
  // With the strategy `manual`, after `rollback --detach`, or once a rollout of it was given up.
  const waits = newest && newest.version !== listed.latest && newest.share === 0;
  const note = waits ? `; ${newest.version} is newer and has no calls, until \`faaslane promote ${name}\`` : "";
  return `Version: ${listed.latest}${note}`;
}
