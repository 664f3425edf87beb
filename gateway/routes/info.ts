import type { RequestHandler } from "express";
import type { GatewayInfo, ProviderInfo, VersionInfo } from "../../contract/info.ts";
import type { Logger } from "../../kit/log.ts";
import { sendJson } from "../../kit/respond.ts";

export interface InfoDeps {
  readonly provider: { info(): Promise<ProviderInfo> };
  readonly version: VersionInfo;
  readonly log: Logger;
}

/** Node's names of architectures, as Go programs write them. */
const GO_ARCH: Record<string, string> = { x64: "amd64", ia32: "386" };

/** `GET /system/info`: always 200; `provider` is null while the provider does not answer. */
export function infoRoute({ provider, version, log }: InfoDeps): RequestHandler {
  return async (_req, res) => {
    const info: GatewayInfo = {
      provider: await provider.info().catch((err: unknown) => {
        log.warn({ err }, "provider info unavailable");
        return null;
      }),
      version,
      arch: GO_ARCH[process.arch] ?? process.arch,
    };
    sendJson(res, info);
  };
}
