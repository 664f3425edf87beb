/** One write of the child of the durability test: what is there once it has been done. */
export type Step =
  | { readonly kind: "function"; readonly name: string; readonly n?: number; readonly replicas?: number }
  | { readonly kind: "scale"; readonly name: string; readonly replicas: number }
  | { readonly kind: "secret"; readonly name: string; readonly value?: string }
  | { readonly kind: "namespace"; readonly name: string; readonly there: boolean };

/** What is there after some steps, as text by key, so that it can be compared. */
export type State = ReadonlyMap<string, string>;

export function applyStep(state: State, step: Step): State {
  const next = new Map(state);
  const put = (key: string, value: string | undefined) => {
    if (value === undefined) next.delete(key);
    else next.set(key, value);
  };
  switch (step.kind) {
    case "function":
      put(`function ${step.name}`, step.n === undefined ? undefined : String(step.n));
      put(`replicas ${step.name}`, step.n === undefined ? undefined : String(step.replicas));
      return next;
    case "scale":
      put(`replicas ${step.name}`, String(step.replicas));
      return next;
    case "secret":
      put(`secret ${step.name}`, step.value);
      return next;
    case "namespace":
      put(`namespace ${step.name}`, step.there ? "" : undefined);
      return next;
  }
}
