import type { EnvReader } from "../../../kit/env.ts";
import { parseBoolean, parseText, parseUrl } from "../../../kit/parse.ts";
import { parseImageReference } from "../../../oci/image-reference.ts";

/** Where images go that are built, and what to log in with. */
export interface ImageSettings {
  /** Put before the names of images that name no registry: a host, with a path if there is to be one. */
  readonly registry: string;
  /** Where that host is reached from here, when its name is one that only nodes know. */
  readonly registryUrl: URL | undefined;
  /** A Docker client's `config.json`, for that and all other registries. */
  readonly configFile: string | undefined;
  /** Whether that registry is ours, and takes the platform's own user and password. */
  readonly platformLogin: boolean;
}

/** @throws {Error} when it is no host, or has a tag */
export function parseRegistryPrefix(text: string): string {
  const rule = "must be a registry, with a path if there is one, such as registry.example/team or localhost:5000";
  const prefix = text.replace(/\/$/, "");
  try {
    const { registry } = parseImageReference(`${prefix}/x`);
    if (registry === prefix.split("/", 1)[0]) return prefix;
  } catch (cause) {
    throw new Error(rule, { cause });
  }
  throw new Error(rule);
}

/**
 * @param fallback the registry where none is set
 * @returns undefined where none is set and there is no other
 */
export function readImageSettings(read: EnvReader, fallback: string): ImageSettings;
export function readImageSettings(read: EnvReader, fallback?: string): ImageSettings | undefined;
export function readImageSettings(read: EnvReader, fallback?: string): ImageSettings | undefined {
  const registry = read.optional("registry", parseRegistryPrefix) ?? fallback;
  const registryUrl = read.optional("registry_url", parseUrl);
  const configFile = read.optional("registry_config", parseText);
  const platformLogin = read.optional("registry_platform_login", parseBoolean) ?? false;
  return registry === undefined ? undefined : { registry, registryUrl, configFile, platformLogin };
}

/** Pods of the cluster that run the steps of Dockerfiles. */
export interface BuildPodSettings {
  /** Has buildah. */
  readonly builderImage: string;
  /** The one that we are in unless given. */
  readonly namespace: string | undefined;
}

/** @returns undefined where no pods are to be made */
export function readBuildPodSettings(read: EnvReader): BuildPodSettings | undefined {
  const builderImage = read.optional("build_pod_image", parseText);
  const namespace = read.optional("build_pod_namespace", parseText);
  return builderImage === undefined ? undefined : { builderImage, namespace };
}
