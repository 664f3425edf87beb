import { askJson } from "../../api.ts";
import { useAsked } from "../../components/resource.ts";

/** What a definition can name. */
export interface Choices {
  readonly namespaces: readonly string[];
  readonly secrets: readonly string[];
}

/** As far as the gateway has told; without them a form can be filled in all the same. */
export function useChoices(namespace: string): Choices {
  const namespaces = useAsked("namespaces", (signal) => askJson<string[] | null>("/system/namespaces", { signal }));
  const at = `/system/secrets?namespace=${encodeURIComponent(namespace)}`;
  const secrets = useAsked(at, (signal) => askJson<{ readonly name: string }[] | null>(at, { signal }));
  return {
    namespaces: namespaces.value ?? [],
    secrets: (secrets.value ?? []).map(({ name }) => name),
  };
}
