import { qualifiedName } from "../../../contract/functions.ts";
import type { CurrentVersion } from "../../../events/flows/flow-steps.ts";
import { chooseByKey, sharesOf } from "../../core/traffic/choose-version.ts";
import type { FunctionTable } from "../../proxy/function-table.ts";

/** The version that a run of a flow calls, as the function's traffic settings have it. */
export function currentVersion(table: Pick<FunctionTable, "findOwn">): CurrentVersion {
  return (ref, run) => {
    const snapshot = table.findOwn(qualifiedName(ref))?.snapshot;
    const shares = sharesOf(snapshot?.traffic ?? []);
    if (shares.length === 0) return snapshot?.version;
    return shares[chooseByKey(shares, run)]?.version;
  };
}
