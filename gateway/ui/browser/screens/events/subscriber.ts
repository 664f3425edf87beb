/** Whether a trigger's subscriber, e.g. `function/NAMESPACE/NAME@v3`, is a function, whatever its version or path. */
export function goesTo(
  subscriber: string,
  { name, namespace }: { readonly name: string; readonly namespace: string },
): boolean {
  const [kind, of, called = ""] = subscriber.split("/");
  return kind === "function" && of === namespace && called.replace(/[@:?#].*$/s, "") === name;
}
