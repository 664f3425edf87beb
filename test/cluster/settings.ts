export interface ClusterTestSettings {
  readonly kubeconfig: string;
  readonly image: string;
}

const USAGE = `usage: KUBECONFIG=… FUNCTION_IMAGE=… npm run test:cluster
  KUBECONFIG      file that names the cluster, with leave to make and remove namespaces
  FUNCTION_IMAGE  an image with this project's watchdog and the programs cat and env; pulled only where it is absent`;

/** @returns what is missing, for a person to read, if something is */
export function readSettings(env: Readonly<Record<string, string | undefined>>): ClusterTestSettings | string {
  const { KUBECONFIG: kubeconfig = "", FUNCTION_IMAGE: image = "" } = env;
  const missing = [kubeconfig === "" && "KUBECONFIG", image === "" && "FUNCTION_IMAGE"].filter(Boolean);
  return missing.length > 0 ? `${missing.join(" and ")} must be set.\n${USAGE}` : { kubeconfig, image };
}
