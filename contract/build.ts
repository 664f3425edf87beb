import { z } from "zod";
import { atMost, decode, maybe, stringMap } from "./decode.ts";

const buildConfig = z.object({
  image: z.string().min(1),
  buildArgs: maybe(atMost(1_000, stringMap)),
  platforms: maybe(atMost(100, z.array(z.string()))),
});
/** Part `config` of `POST /system/build`. */
export type BuildConfig = z.output<typeof buildConfig>;

/** @throws {FaasError} `invalid` */
export function decodeBuildConfig(value: unknown): BuildConfig {
  return decode(buildConfig, value, "config");
}

const buildEvent = z.discriminatedUnion("status", [
  z.object({ status: z.literal("in_progress"), log: z.array(z.string()) }),
  z.object({ status: z.literal("success"), image: z.string(), pushed: maybe(z.boolean()) }),
  z.object({ status: z.literal("failed"), error: z.string() }),
]);
/**
 * One NDJSON line of the answer: output as it appears (lines without their newline), then how it ended. `image` of a
 * success is `<ref>@sha256:<hex>`; `pushed`: it lies in a registry, from where functions are to be deployed by this reference.
 */
export type BuildEvent = z.output<typeof buildEvent>;

/** What OpenFaaS's clients put into a tar for a builder: its configuration, sealed secrets, and the folder of the context. */
export const PACKAGE = { config: "com.openfaas.docker.config", secrets: "com.openfaas.secrets", context: "context" };

const builderResult = z.object({
  log: maybe(z.array(z.string())),
  image: maybe(z.string()),
  status: z.string(),
  error: maybe(z.string()),
});

/** A line of what a builder of OpenFaaS's answers. @throws {FaasError} `invalid` */
export function decodeBuilderResult(value: unknown): BuildEvent {
  const { log, image, status, error } = decode(builderResult, value, "builder");
  if (status === "success" && image) return { status, image, pushed: image.includes("@") };
  if (status === "in_progress") return { status, log: log ?? [] };
  return { status: "failed", error: error || `the builder says ${status.slice(0, 100)}` };
}

/** @throws {FaasError} `invalid` */
export function decodeBuildEvent(value: unknown): BuildEvent {
  return decode(buildEvent, value, "build event");
}
