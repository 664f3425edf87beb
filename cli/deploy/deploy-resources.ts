import type { ResourcesClient } from "../client/resources-client.ts";
import { RESOURCE_KINDS, type StackResource } from "../stack/types.ts";

export type ResourceOutcome =
  | { readonly kind: "deployed"; readonly name: string; readonly isNew: boolean }
  | { readonly kind: "failed"; readonly name: string; readonly error: unknown };

/** How a resource is called where there are functions too, e.g. `trigger/mail`. */
export function resourceTitle({ kind, name }: Pick<StackResource, "kind" | "name">): string {
  return `${kind}/${name}`;
}

/**
 * Declares one after the other, what others go to first: sources come last, so that nothing they bring finds nobody.
 * @param namespace of those that name none
 */
export async function deployResources(
  resources: readonly StackResource[],
  client: Pick<ResourcesClient, "declare">,
  namespace: string | undefined,
  report: (outcome: ResourceOutcome) => void = () => {},
): Promise<ResourceOutcome[]> {
  const outcomes: ResourceOutcome[] = [];
  for (const resource of inOrder(resources)) {
    const { kind, name, spec } = resource;
    const title = resourceTitle(resource);
    const outcome = await client.declare(kind, name, spec, resource.namespace ?? namespace).then(
      (isNew): ResourceOutcome => ({ kind: "deployed", name: title, isNew }),
      (error: unknown): ResourceOutcome => ({ kind: "failed", name: title, error }),
    );
    report(outcome);
    outcomes.push(outcome);
  }
  return outcomes;
}

/** Removes them, sources first. @returns those that there were none of, and those that failed */
export async function removeResources(
  resources: readonly StackResource[],
  client: Pick<ResourcesClient, "remove">,
  namespace: string | undefined,
  report: (title: string, outcome: { readonly found: boolean } | { readonly error: unknown }) => void,
): Promise<void> {
  for (const resource of inOrder(resources).reverse()) {
    const { kind, name } = resource;
    try {
      report(resourceTitle(resource), { found: await client.remove(kind, name, resource.namespace ?? namespace) });
    } catch (error) {
      report(resourceTitle(resource), { error });
    }
  }
}

function inOrder(resources: readonly StackResource[]): StackResource[] {
  return RESOURCE_KINDS.flatMap((kind) => resources.filter((resource) => resource.kind === kind));
}
