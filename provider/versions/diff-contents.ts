import type { VersionContent } from "../../contract/versions/function-versions.ts";
import type { VersionDifference } from "../../contract/versions/requests.ts";

/** What is other in `to` than in `from`, by field in the order of names. */
export function diffContents(from: VersionContent, to: VersionContent): VersionDifference[] {
  const [a, b] = [flatten(from), flatten(to)];
  const fields = [...new Set([...a.keys(), ...b.keys()])].sort();
  return fields.flatMap((field) => {
    const [was, is] = [a.get(field), b.get(field)];
    if (was === is) return [];
    return [{ field, ...(was !== undefined && { from: was }), ...(is !== undefined && { to: is }) }];
  });
}

function flatten(content: VersionContent): Map<string, string> {
  const texts = new Map<string, string>();
  for (const [field, value] of Object.entries(content)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) texts.set(field, value.join(", "));
    else if (typeof value !== "object") texts.set(field, String(value));
    else for (const [key, text] of Object.entries(value)) if (text !== undefined) texts.set(`${field}.${key}`, text);
  }
  return texts;
}
