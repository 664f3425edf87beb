import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { V1Deployment } from "@kubernetes/client-node";
import { PATHS } from "../../../../contract/paths.ts";
import { ANNOUNCE_TOKEN } from "./environment.ts";
import { functionContainer } from "./read-deployment.ts";
import type { Announce } from "./settings.ts";

const TOKEN_BYTES = 24;

/** What a function's replicas prove themselves with. Its Deployment is where it is kept, so that all providers know. */
function tokenOf(deployment: V1Deployment): string | undefined {
  return functionContainer(deployment)?.env?.find(({ name }) => name === ANNOUNCE_TOKEN)?.value;
}

/**
 * Where a function's replicas report, and with which token: the one that they have, as a new one would start new pods.
 * @param provider base address of the providers
 */
export function buildAnnounce(provider: URL, existing: V1Deployment | undefined): Announce {
  const token = (existing && tokenOf(existing)) || randomBytes(TOKEN_BYTES).toString("base64url");
  return { url: new URL(PATHS.announce.slice(1), provider).href, token };
}

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Whether it is the function's token; takes the same time however much of it is right. */
export function isAnnounceToken(given: string, deployment: V1Deployment | undefined): boolean {
  const token = deployment && tokenOf(deployment);
  const same = timingSafeEqual(digest(given), digest(token ?? ""));
  return Boolean(token) && same;
}
