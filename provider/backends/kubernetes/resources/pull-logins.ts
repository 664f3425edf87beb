import type { V1Secret } from "@kubernetes/client-node";
import { findLogin, type RegistryLogin } from "../../../../oci/docker-config.ts";

/** The login for a registry that a secret for pulling images holds; undefined when it has none that can be used. */
export function loginIn(
  { type, data = {} }: Pick<V1Secret, "type" | "data">,
  registry: string,
): RegistryLogin | undefined {
  try {
    const text = configIn(type, data);
    return text === undefined ? undefined : findLogin(text, registry);
  } catch {
    // Malformed ones are for the kubelet to complain about.
    return undefined;
  }
}

function configIn(type: string | undefined, data: Readonly<Record<string, string>>): string | undefined {
  const read = (key: string) => (data[key] === undefined ? undefined : Buffer.from(data[key], "base64").toString());
  if (type === "kubernetes.io/dockerconfigjson") return read(".dockerconfigjson");
  // The form of before: the hosts alone.
  const hosts = type === "kubernetes.io/dockercfg" ? read(".dockercfg") : undefined;
  return hosts === undefined ? undefined : JSON.stringify({ auths: JSON.parse(hosts) as unknown });
}
