/** What `npm run test:cluster` has Jest run, once `main.ts` has made the cluster ready. */

import { afterAll } from "@jest/globals";
import { openClusterAccess } from "../../provider/backends/kubernetes/client/cluster-access.ts";
import { KubernetesClient } from "../../provider/backends/kubernetes/client/kubernetes-client.ts";
import { readHandover } from "./handover.ts";
import { describeCluster } from "./suite.ts";

const { kubeconfig, ...handed } = readHandover(process.env);
const api = new KubernetesClient(await openClusterAccess({ kubeconfig }));
afterAll(() => api.close());

describeCluster("the cluster", () => ({ ...handed, api }));
