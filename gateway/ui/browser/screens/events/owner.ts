import { command } from "../../act.ts";
import type { ResourceKind } from "./resource-acts.ts";

/** As a list tells of it. */
export interface Owned {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly namespace: string;
  readonly origin?: string | undefined;
  /** Whose annotations declare it. */
  readonly functionName?: string | undefined;
}

/** Who declares what is not changed here, and where it is changed. */
export interface Owner {
  readonly by: string;
  readonly command?: string;
  /** Screen where it is changed. */
  readonly to?: string;
}

const OTHERS: Readonly<Record<string, string>> = {
  flow: "A step of a flow declares it, and it goes with that.",
  replay: "A replay declares it, and it goes with that.",
  sink: "A function is bound to a sink by it; its annotations declare it.",
};

/** Undefined for what is declared here. */
export function ownerOf({ kind, name, namespace, origin, functionName }: Owned): Owner | undefined {
  if (origin === "object") {
    const edit = command("kubectl", "edit", `${kind}s.openfaas.com`, name, "-n", namespace);
    return { by: "An object of the cluster declares it, and is changed there:", command: edit };
  }
  if (functionName !== undefined) {
    const to = `/functions/${namespace}/${functionName}/settings`;
    return { by: "Annotations of its function declare it, and are changed there:", to };
  }
  const by = origin === undefined ? undefined : OTHERS[origin];
  return by === undefined ? undefined : { by };
}
