import type { ResolvedDeployment } from "../backends/backend.ts";
import { deploymentOf } from "./content.ts";
import type { Known } from "./version-keeper.ts";

/**
 * What a function is to be deployed with to have another annotation, and run on as it does: by what was deployed, whatever
 * its image means by now.
 * @param value undefined takes it away
 */
export function annotated({ present, versions }: Known, name: string, value: string | undefined): ResolvedDeployment {
  const { [name]: _, ...others } = present.annotations ?? {};
  const wanted = { ...present, annotations: { ...others, ...(value !== undefined && { [name]: value }) } };
  const main = versions.versions.find(({ version }) => version === versions.main);
  return { ...(main ? deploymentOf(wanted, main) : wanted), keepsReplicas: true };
}
