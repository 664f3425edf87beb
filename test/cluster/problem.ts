/** What keeps the suite from running, for a person to read. */
export class ClusterProblem extends Error {
  override readonly name = "ClusterProblem";
}
