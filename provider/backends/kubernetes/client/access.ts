import type { RequestOptions } from "node:https";

/** Where the API server is, and what requests have to bring. */
export interface ClusterAccess {
  readonly server: URL;
  /** Asked for every request, as tokens change. */
  credentials(): Promise<RequestOptions>;
}
