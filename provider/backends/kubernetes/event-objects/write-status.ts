import { isDeepStrictEqual } from "node:util";
import { toFaasError } from "../../../../contract/errors.ts";
import type { EventObjectStatus, StatusOutcome } from "../../../../contract/events/event-object.ts";
import { hasStatus } from "../client/api-error.ts";
import type { KubernetesClient } from "../client/kubernetes-client.ts";
import { apiPath } from "../client/paths.ts";
import {
  decideEventStatus,
  EVENT_PLURALS,
  type EventObjectRecord,
  type EventResourceObject,
  statusPatch,
} from "../resources/event-object.ts";

export interface WrittenOutcome {
  readonly outcome: StatusOutcome;
  /** As it is now. */
  readonly object?: EventResourceObject;
}

/** Writes how an object is, unless that is there already. */
export async function writeStatus(
  client: Pick<KubernetesClient, "mergePatch">,
  { status: before }: EventObjectRecord,
  asked: EventObjectStatus,
  at: Date,
): Promise<WrittenOutcome> {
  const { kind, namespace, name, uid } = asked;
  const now = decideEventStatus(before, asked, at);
  if (isDeepStrictEqual(now, before)) return { outcome: { kind, namespace, name, outcome: "same" } };
  try {
    const object = await client.mergePatch<EventResourceObject>(
      apiPath.eventObjectStatus(EVENT_PLURALS[kind], namespace, name),
      // Another one of that name must not get it.
      { metadata: { uid }, status: statusPatch(before, now) },
    );
    return { object, outcome: { kind, namespace, name, outcome: "written" } };
  } catch (error) {
    // It has gone, or is another one; of which we will hear.
    if (hasStatus(error, 404) || hasStatus(error, 409)) return { outcome: { kind, namespace, name, outcome: "gone" } };
    return { outcome: { kind, namespace, name, outcome: "failed", error: toFaasError(error).message } };
  }
}
