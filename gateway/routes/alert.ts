import type { RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import type { FunctionRef } from "../../contract/functions.ts";
import type { ScalePolicy } from "../../contract/scale-policy.ts";
import { bodyText, markError } from "../../kit/respond.ts";
import { parseAlerts, replicasAfterAlert } from "../core/alerts.ts";

/** A function that alerts may scale. */
export interface AlertTarget {
  readonly ref: FunctionRef;
  readonly replicas: number;
  readonly policy: Pick<ScalePolicy, "typeGiven" | "min" | "max" | "factor">;
}

export interface AlertDeps {
  /** @param target `name` or `name.namespace` */
  find(target: string): AlertTarget | undefined;
  scale(ref: FunctionRef, replicas: number): Promise<void>;
  /** Called for each alert that counts, so that the autoscaler leaves the function alone. */
  alerted(ref: FunctionRef): void;
}

/**
 * `POST /system/alert`, a webhook of Alertmanager. Alerts without a function, for one that is not known, or for one
 * that names how it is scaled are passed over. Answers 200, or 500 with a line for each order that failed.
 */
export function alertRoute({ find, scale, alerted }: AlertDeps): RequestHandler {
  return async (req, res) => {
    const failures: string[] = [];
    for (const alert of parseAlerts(bodyText(req))) {
      const target = find(alert.function);
      if (!target || target.policy.typeGiven) continue;
      alerted(target.ref);
      const replicas = replicasAfterAlert(alert, target.replicas, target.policy);
      if (replicas === target.replicas) continue;
      try {
        await scale(target.ref, replicas);
      } catch (error) {
        // It has been removed in this moment.
        if (error instanceof FaasError && error.kind === "notFound") continue;
        failures.push(error instanceof FaasError ? error.message : "the provider failed");
      }
    }
    if (failures.length === 0) res.status(200).end();
    else {
      markError(res, "scaling_failed");
      res
        .status(500)
        .type("text/plain")
        .send(failures.map((text, i) => `[${i}] ${text}\n`).join(""));
    }
  };
}
