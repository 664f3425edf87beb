import { expect } from "@jest/globals";
import {
  ALL_NAMESPACES,
  CORE_NAMESPACE,
  FUNCTION_NAMESPACE,
  ONE_NAMESPACE,
} from "../../../provider/backends/kubernetes/resources/permissions.ts";
import type { Account, Grant } from "../../support/kube/http/rbac.ts";

const NAMESPACE = "openfaas-fn";
/** Where Profiles and the Lease are. */
const CORE = "openfaas";

/** What the chart grants the provider: with a ClusterRole, or for one namespace. */
function grantsOf(clusterRole: boolean): Grant[] {
  const functions: Grant = clusterRole
    ? { namespaces: "all", rules: [...FUNCTION_NAMESPACE, ...ALL_NAMESPACES] }
    : { namespaces: [NAMESPACE], rules: [...FUNCTION_NAMESPACE, ...ONE_NAMESPACE] };
  return [functions, { namespaces: [CORE], rules: CORE_NAMESPACE }];
}

/** The provider's service account, and what it was refused. */
export class ProviderAccount implements Account {
  readonly token = "provider";
  readonly user = `system:serviceaccount:${CORE}:faaslane-provider`;
  readonly grants: readonly Grant[];
  readonly #refused = new Set<string>();

  constructor({ clusterRole = true } = {}) {
    this.grants = grantsOf(clusterRole);
  }

  onRefused(message: string): void {
    this.#refused.add(message);
  }

  /** Fails when it has asked for more than it was granted. */
  expectNothingRefused(): void {
    expect([...this.#refused]).toEqual([]);
  }
}
