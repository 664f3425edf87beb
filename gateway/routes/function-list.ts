import type { RequestHandler } from "express";
import { type FunctionStatus, qualifiedName } from "../../contract/functions.ts";
import { sendJson } from "../../kit/respond.ts";

export interface FunctionListDeps {
  readonly provider: { list(namespace?: string): Promise<FunctionStatus[]> };
  /** Calls that ended of the function `name.namespace`. */
  readonly callsOf: (name: string) => number;
  /** Afterwards all calls that ended before are counted; they are at once when absent. */
  readonly settle?: () => Promise<void>;
}

/** `GET /system/functions[?namespace=]`: the provider's list, with the calls that this gateway has counted. */
export function functionListRoute({ provider, callsOf, settle }: FunctionListDeps): RequestHandler {
  return async (req, res) => {
    const { namespace } = req.query;
    const list = await provider.list(typeof namespace === "string" ? namespace : undefined);
    await settle?.();
    const counted = list.map((status) => {
      const calls = callsOf(qualifiedName({ name: status.name, namespace: status.namespace ?? "" }));
      return calls > 0 ? { ...status, invocationCount: calls } : status;
    });
    sendJson(res, counted);
  };
}
