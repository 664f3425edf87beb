import type { UiVariable } from "../../../../../contract/ui/platform.ts";

/** A variable as the table shows it. */
export interface VariableRow {
  readonly name: string;
  readonly value: string;
  readonly from: "set" | "default";
}

/**
 * @param defaults as the documentation tells them
 * @param filter only those with it in their names; `set` for those that are set alone
 */
export function variableRows(
  variables: readonly UiVariable[],
  defaults: Readonly<Record<string, string>>,
  { text, from }: { readonly text: string; readonly from: string },
): VariableRow[] {
  const wanted = text.trim().toLowerCase();
  return variables
    .map(({ name, isSet, value }): VariableRow => {
      if (isSet) return { name, value: value ?? "set; it is not shown", from: "set" };
      return { name, value: defaults[name] ?? "–", from: "default" };
    })
    .filter((row) => row.name.toLowerCase().includes(wanted) && (from === "" || row.from === from));
}
