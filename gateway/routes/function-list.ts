import type { RequestHandler } from "express";
import { type FunctionStatus, qualifiedName } from "../../contract/functions.ts";
import { sendJson } from "../../kit/respond.ts";

export interface FunctionListDeps {
  readonly provider: { list(namespace?: string): Promise<FunctionStatus[]> };
  /** Calls that ended of the function `name.namespace`. */
  readonly callsOf: (name: string) => number;
}

/** `GET /system/functions[?namespace=]`: the provider's list, with the calls that this gateway has counted. */
export function functionListRoute({ provider, callsOf }: FunctionListDeps): RequestHandler {
  return async (req, res) => {
    const { namespace } = req.query;
    const list = await provider.list(typeof namespace === "string" ? namespace : undefined);
    const counted = list.map((status) => {
      const calls = callsOf(qualifiedName({ name: status.name, namespace: status.namespace ?? "" }));
      return calls > 0 ? { ...status, invocationCount: calls } : status;
    });
    sendJson(res, counted);
  };
}
