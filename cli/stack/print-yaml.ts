import { stringify } from "yaml";

/**
 * A document as YAML that every parser reads alike: text that an older one would take for a number, a date or a truth
 * value is quoted.
 */
export function printYaml(value: unknown): string {
  return stringify(value, { compat: "yaml-1.1", lineWidth: 0, aliasDuplicateObjects: false, sortMapEntries: false });
}
