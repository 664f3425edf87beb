import type { KnownFunctions } from "../../../events/triggers/function-triggers.ts";
import type { FunctionTable } from "../../proxy/function-table.ts";

/** A gateway's functions, as far as triggers and sources look at them. */
export function knownFunctions(table: Pick<FunctionTable, "entries" | "onChange" | "whenSynced">): KnownFunctions {
  return {
    whenSynced: table.whenSynced,
    entries: function* () {
      for (const { isBeside, snapshot } of table.entries()) if (!isBeside) yield snapshot;
    },
    onChange: (listener) => table.onChange(() => listener()),
  };
}
