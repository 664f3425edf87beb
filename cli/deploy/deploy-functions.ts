import type { FunctionDeployment } from "../../contract/functions.ts";
import { runPool } from "../build/pool.ts";
import type { GatewayAnswer } from "../client/gateway-client.ts";
import { CliError } from "../errors.ts";
import type { StackFunction } from "../stack/types.ts";

/** `update` rolls over what runs and creates what is new; `create` refuses what exists; `replace` removes it first. */
export type DeployMode = "update" | "create" | "replace";

export interface DeployTarget {
  createFunction(deployment: FunctionDeployment): Promise<GatewayAnswer>;
  updateFunction(deployment: FunctionDeployment): Promise<GatewayAnswer>;
  removeFunction(functionName: string, namespace?: string): Promise<GatewayAnswer>;
}

export type DeployOutcome =
  | {
      readonly kind: "deployed";
      readonly name: string;
      readonly namespace?: string | undefined;
      readonly answer: GatewayAnswer;
      /** Which version came of it, where calls go to it bit by bit. */
      readonly note?: string | undefined;
    }
  | { readonly kind: "failed"; readonly name: string; readonly error: unknown };

export interface DeployHow {
  readonly target: DeployTarget;
  readonly mode: DeployMode;
  readonly report: (outcome: DeployOutcome) => void;
  readonly noteOf?: (deployment: FunctionDeployment) => Promise<string | undefined>;
}

/**
 * Deploys one function after the other; one that fails does not stop the rest.
 * @param plan makes the deployment of a function
 * @param report gets each outcome as it comes
 * @param noteOf says what more there is to tell of a deployment that was accepted
 */
export async function deployFunctions(
  functions: readonly StackFunction[],
  plan: (fn: StackFunction) => Promise<FunctionDeployment>,
  { target, mode, report, noteOf = async () => undefined }: DeployHow,
): Promise<DeployOutcome[]> {
  return await runPool(functions, 1, async (fn) => {
    const outcome = await plan(fn)
      .then(async (deployment): Promise<DeployOutcome> => {
        const told = await deployOne(deployment, mode, target);
        return told.kind === "deployed" ? { ...told, note: await noteOf(deployment) } : told;
      })
      .catch((error: unknown): DeployOutcome => ({ kind: "failed", name: fn.name, error }));
    report(outcome);
    return outcome;
  });
}

/** Only 200 and 202 are success to the clients of this API, so a 201 is reported. */
async function deployOne(
  deployment: FunctionDeployment,
  mode: DeployMode,
  target: DeployTarget,
): Promise<DeployOutcome> {
  const { service: name, namespace } = deployment;
  const answer = await submit(deployment, mode, target);
  if (answer.status === 200 || answer.status === 202) return { kind: "deployed", name, namespace, answer };
  const said = [answer.text.trim() || answer.statusText, answer.next].filter(Boolean).join("; ");
  const message = `Unexpected status: ${answer.status}, message: ${said}`;
  return { kind: "failed", name, error: new CliError(message) };
}

async function submit(deployment: FunctionDeployment, mode: DeployMode, target: DeployTarget): Promise<GatewayAnswer> {
  if (mode === "update") {
    const answer = await target.updateFunction(deployment);
    return answer.status === 404 ? await target.createFunction(deployment) : answer;
  }
  // Its answer says nothing: there may have been nothing to remove.
  if (mode === "replace") await target.removeFunction(deployment.service, deployment.namespace);
  return await target.createFunction(deployment);
}
