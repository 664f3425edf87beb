import type { FunctionVersions } from "../../../../contract/versions/function-versions.ts";
import { contentOf, deploymentOf, sameContent } from "../../../versions/content.ts";
import type { ResolvedDeployment } from "../../backend.ts";
import { type FunctionObject, functionToDeployment, isByProvider } from "./function-object.ts";

type Known = Pick<FunctionVersions, "versions" | "main">;

/**
 * What the function's own replicas are to run, by its Function and by what is kept of its versions. A provider writes into the
 * Function what they run. What somebody else has written is what is wanted, which may run beside them, or be given up again.
 */
export function mainDefinition(object: FunctionObject, known: Known | undefined): ResolvedDeployment {
  const given = functionToDeployment(object);
  if (!known) return given;
  const main = known.versions.find(({ version }) => version === known.main);
  if (!isByProvider(object.metadata)) return main ? deploymentOf(given, main) : given;
  const content = contentOf(given);
  const isSame = (version: FunctionVersions["versions"][number]) => sameContent(version.content, content);
  const found = main && isSame(main) ? main : known.versions.find(isSame);
  if (!found) return given;
  const { digest } = found.content;
  return { ...given, version: found.version, ...(digest !== undefined && { digest }) };
}

/**
 * Whether a Function stays as it is when its function's own replicas get another version: somebody else has written it, and
 * nothing but that version is other than it says.
 */
export function staysAsWritten(
  object: FunctionObject,
  deployment: ResolvedDeployment,
  known: Known | undefined,
): boolean {
  if (!known || deployment.version === undefined || isByProvider(object.metadata)) return false;
  const asked = functionToDeployment(object);
  const content = contentOf(asked);
  if (!known.versions.some((version) => sameContent(version.content, content))) return false;
  const { version, digest, ...wanted } = deploymentOf(asked, {
    version: deployment.version,
    content: contentOf(deployment),
  });
  const { version: _v, digest: _d, by: _b, ...own } = deployment;
  return sameSettings(wanted, own);
}

function sameSettings(a: ResolvedDeployment, b: ResolvedDeployment): boolean {
  const entries = ({ labels = {}, annotations = {} }: ResolvedDeployment) =>
    [labels, annotations].map((map) => Object.entries(map).sort(([x], [y]) => (x < y ? -1 : 1)));
  return JSON.stringify(entries(a)) === JSON.stringify(entries(b));
}

/**
 * What is to be built of a deploy.
 * @param object the Function as it is by now: its spec counts where it says the same, so that a later reconciliation builds the
 * very same objects
 */
export function definitionOf(deployment: ResolvedDeployment, object: FunctionObject | undefined): ResolvedDeployment {
  if (!object) return deployment;
  const { version, digest, keepsReplicas } = deployment;
  const own = functionToDeployment(object);
  if (version === undefined) return own;
  if (!sameContent(contentOf(own), contentOf(deployment))) return deployment;
  return { ...own, version, ...(digest !== undefined && { digest }), ...(keepsReplicas && { keepsReplicas }) };
}
