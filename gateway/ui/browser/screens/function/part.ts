/** What every tab of a function is given. */
export interface FunctionPart {
  readonly name: string;
  readonly namespace: string;
}

/** Path of a function below `/system/`, with its namespace. */
export function systemPath(kind: "function" | "scaling", { name, namespace }: FunctionPart, more = ""): string {
  return `/system/${kind}/${encodeURIComponent(name)}${more}?namespace=${encodeURIComponent(namespace)}`;
}

/** As the command line names it. */
export function commandName({ name, namespace }: FunctionPart): string {
  return `${name} -n ${namespace}`;
}
