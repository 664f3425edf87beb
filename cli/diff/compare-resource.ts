import { isDeepStrictEqual } from "node:util";
import { decodeSinkSpec, encodeSinkSpec } from "../../contract/events/sink-spec.ts";
import { decodeSourceSpec, encodeSourceSpec } from "../../contract/events/source-spec.ts";
import type { StackResource } from "../stack/types.ts";
import type { Difference } from "./compare.ts";

/** What a deploy would change. @param declared as the gateway has it */
export function compareResource({ kind, spec }: StackResource, declared: StackResource["spec"]): Difference[] {
  const [local, remote] = [written(kind, spec), written(kind, declared)];
  const fields = [...new Set([...Object.keys(local), ...Object.keys(remote)])].sort();
  return fields.flatMap((field) => {
    const [ours, theirs] = [local[field] ?? undefined, remote[field] ?? undefined];
    if (isDeepStrictEqual(ours, theirs)) return [];
    return [{ field, local: textOf(ours), remote: textOf(theirs) }];
  });
}

/** Sources and sinks are kept in one form, whatever they were written like. */
function written(kind: StackResource["kind"], spec: StackResource["spec"]): Readonly<Record<string, unknown>> {
  if (kind === "source") return encodeSourceSpec(decodeSourceSpec(spec));
  return kind === "sink" ? encodeSinkSpec(decodeSinkSpec(spec)) : spec;
}

function textOf(value: unknown): string | undefined {
  return value === undefined || typeof value === "string" ? value : JSON.stringify(value);
}
