import type { RequestHandler } from "express";
import { type FunctionStatus, qualifiedName } from "../../contract/functions.ts";
import { sendJson } from "../../kit/respond.ts";
import type { FunctionTable } from "../proxy/function-table.ts";

export interface FunctionListDeps {
  readonly provider: { list(namespace?: string): Promise<FunctionStatus[]> };
  readonly table: FunctionTable;
}

/** `GET /system/functions[?namespace=]`: the provider's list, with the calls that this gateway has counted. */
export function functionListRoute({ provider, table }: FunctionListDeps): RequestHandler {
  return async (req, res) => {
    const { namespace } = req.query;
    const list = await provider.list(typeof namespace === "string" ? namespace : undefined);
    const counted = list.map((status) => {
      const calls =
        table.find(qualifiedName({ name: status.name, namespace: status.namespace ?? "" }))?.meter.ended ?? 0;
      return calls > 0 ? { ...status, invocationCount: calls } : status;
    });
    sendJson(res, counted);
  };
}
