import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { secretRef } from "../../../contract/events/secret-ref.ts";
import { lineOf, serverUrl } from "../../../contract/events/server-settings.ts";
import { linkFailure } from "../../links/explain.ts";
import type { SecretTexts } from "../../links/secret-texts.ts";

/** Where a service of AWS is, or one that speaks as it does, and who asks. */
export const awsSettings = {
  region: maybe(lineOf("a region such as eu-central-1", 64)),
  endpoint: maybe(serverUrl("https", "http")),
  /** What the SDK finds by itself when absent: variables, web identity, the machine's role. */
  credentials: maybe(
    z.strictObject({
      accessKeyId: z.union([lineOf("an access key's id"), secretRef], {
        error: "must be an access key's id, or { secret: NAME }",
      }),
      secretAccessKey: secretRef,
      sessionToken: maybe(secretRef),
    }),
  ),
};
export type AwsSettings = z.output<z.ZodObject<typeof awsSettings>>;

/** For servers that speak as AWS does and know no regions. */
const ANY_REGION = "us-east-1";
const CONNECT_MS = 10_000;
const MAX_ATTEMPTS = 2;

/** @param answerMs in which an answer has to come */
export async function awsOptions(
  { region, endpoint, credentials }: AwsSettings,
  secrets: SecretTexts,
  answerMs: number,
) {
  const known = region ?? (endpoint === undefined ? undefined : ANY_REGION);
  const keys = credentials && {
    accessKeyId:
      typeof credentials.accessKeyId === "string"
        ? credentials.accessKeyId
        : await secrets.text(credentials.accessKeyId),
    secretAccessKey: await secrets.text(credentials.secretAccessKey),
    ...(credentials.sessionToken && { sessionToken: await secrets.text(credentials.sessionToken) }),
  };
  return {
    ...(known !== undefined && { region: known }),
    ...(endpoint !== undefined && { endpoint }),
    ...(keys && { credentials: keys }),
    maxAttempts: MAX_ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: answerMs, throwOnRequestTimeout: true },
  };
}

/** As {@link linkFailure}, with the service's name for the failure, which says more than its words. */
export function awsFailure(server: string, thrown: unknown, secrets: SecretTexts) {
  const { name } = (thrown ?? {}) as { name?: unknown };
  const isNamed = typeof name === "string" && name !== "Error";
  return linkFailure(isNamed ? `${server}: ${name}` : server, thrown, secrets);
}
