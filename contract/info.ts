import { z } from "zod";
import { decode, maybe } from "./decode.ts";

const versionInfo = z.object({ commit_message: maybe(z.string()), sha: z.string(), release: z.string() });

/** What a provider can do beyond OpenFaaS's contract. */
export const FEATURES = { endpoints: "endpoints", build: "build", expedite: "hurry", prune: "prune" } as const;

const providerInfo = z.object({
  provider: z.string(),
  orchestration: z.string(),
  version: versionInfo,
  /** Extensions this provider has (values of {@link FEATURES}); foreign providers send none. */
  features: maybe(z.array(z.string())),
});
/** `GET /system/info` of a provider. */
export type ProviderInfo = z.output<typeof providerInfo>;
export type VersionInfo = z.output<typeof versionInfo>;

/** `GET /system/info` of a gateway. `provider` is null while the provider cannot be asked. */
export interface GatewayInfo {
  readonly provider: ProviderInfo | null;
  readonly version: VersionInfo;
  readonly arch: string;
}

/** @throws {FaasError} `invalid` */
export function decodeProviderInfo(value: unknown): ProviderInfo {
  return decode(providerInfo, value, "provider info");
}
