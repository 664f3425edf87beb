import { FaasError } from "../../contract/errors.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import type { SourceContext } from "./source.ts";

const MAX_CHARS = 64 * 1024;

export type CursorResources = Pick<ResourceStore, "get" | "put" | "remove">;

/** Name of the document with a source's cursor. @param id e.g. `source/NAMESPACE/NAME` */
function cursorName(id: string) {
  const [set = "", namespace = "", name = ""] = id.split("/");
  return { kind: "cursor", namespace, name: `${set}.${name}` } as const;
}

/**
 * How far a source has come, kept beside the events. A save fails when somebody else has saved since this one's last
 * load or save: then two run the source, and only one of them is to go on.
 */
export function openCursor(resources: CursorResources, id: string): SourceContext["cursor"] {
  const name = cursorName(id);
  let version: number | undefined;
  const load = async () => {
    const found = await resources.get(name);
    version = found?.version ?? 0;
    const text = (found?.spec as { text?: unknown } | undefined)?.text;
    return typeof text === "string" ? text : undefined;
  };
  return {
    load,
    save: async (text) => {
      if (text.length > MAX_CHARS) throw new FaasError("tooLarge", `cursor: must have at most ${MAX_CHARS} characters`);
      if (version === undefined) await load();
      version = await resources.put({ ...name, spec: { text } }, version);
    },
  };
}

/** Of a source that is removed; one of its name begins anew. */
export async function removeCursor(resources: Pick<ResourceStore, "remove">, id: string): Promise<void> {
  await resources.remove(cursorName(id));
}
