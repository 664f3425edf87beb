import type { GatewayInfo } from "../../../../../contract/info.ts";
import { askJson } from "../../api.ts";
import { useAsked } from "../../components/resource.ts";

export interface PlatformFacts {
  /** Whether it makes images; undefined while that is not known. */
  readonly builds: boolean | undefined;
  /** As stores name it: `x86_64`, `arm64`, `armhf`. */
  readonly architecture: string;
}

const ARCHITECTURES: Readonly<Record<string, string>> = { amd64: "x86_64", x64: "x86_64", arm: "armhf" };

/** What matters of the platform for deploying something. */
export function usePlatform(): PlatformFacts {
  const { value } = useAsked("info", (signal) => askJson<GatewayInfo>("/system/info", { signal }));
  const arch = value?.arch ?? "amd64";
  return {
    // A provider that cannot be asked just now may have one.
    builds: value?.provider ? (value.provider.features ?? []).includes("build") : undefined,
    architecture: ARCHITECTURES[arch] ?? arch,
  };
}

/** Why nothing can be built; undefined when it can. */
export const NO_BUILDER = "This platform builds no images: its provider has no builder (builder_url).";
