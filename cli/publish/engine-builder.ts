import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BuildConfig, BuildEvent } from "../../contract/build.ts";
import { runInstall } from "../../kit/install-step.ts";
import type { ContextBuilder } from "../build/build-functions.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";

/** Programs that run the steps of a Dockerfile, in the order in which they are looked for. */
export const ENGINES = ["docker", "podman", "buildah"] as const;
export type EngineName = (typeof ENGINES)[number];

export interface EngineSettings {
  readonly platforms: readonly string[];
  /** Registries, besides those of this machine, that are spoken to without TLS. */
  readonly insecure: readonly string[];
}

/** A daemon that hangs is none. */
const PROBE_MS = 10_000;
const TIMEOUT_MS = 30 * 60_000;
const MAX_OUTPUT_BYTES = 10 * 1024 ** 2;
const DIGEST = /sha256:[0-9a-f]{64}/;

/** The first that works of those given; undefined without any. */
export function findBuildEngine(
  { env }: Pick<Io, "env">,
  names: readonly EngineName[] = ENGINES,
): EngineName | undefined {
  const environment = { ...env } as NodeJS.ProcessEnv;
  return names.find(
    (name) => spawnSync(name, ["version"], { env: environment, stdio: "ignore", timeout: PROBE_MS }).status === 0,
  );
}

interface EngineBuild extends Pick<BuildConfig, "image" | "buildArgs"> {
  /** Files, by the names that steps mount them by. */
  readonly secrets?: ReadonlyMap<string, string>;
}

/** One command, and how to find the digest in what it leaves or says. */
interface Step {
  readonly args: readonly string[];
  /** Whether the output tells the digest. */
  readonly tells?: boolean;
}

/**
 * The commands that build an image of a context and push it. The last ones leave the digest in `digestFile`, or say it.
 * @param folder the context
 */
export function engineSteps(
  engine: EngineName,
  folder: string,
  { image, buildArgs, secrets = new Map() }: EngineBuild,
  { platforms, insecure, digestFile }: EngineSettings & { readonly digestFile: string },
): Step[] {
  const variables = [
    ...Object.entries(buildArgs ?? {}).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
    ...[...secrets].map(([id, path]) => `--secret=id=${id},src=${path}`),
  ];
  const platform = platforms.length === 0 ? [] : ["--platform", platforms.join(",")];
  const several = platforms.length > 1;
  if (engine === "docker") {
    if (several) {
      const output = ["--push", "--metadata-file", digestFile];
      return [{ args: ["buildx", "build", ...platform, ...variables, ...output, "--tag", image, folder] }];
    }
    return [
      { args: ["build", ...platform, ...variables, "--tag", image, folder] },
      { args: ["push", image], tells: true },
    ];
  }
  const tls = insecure.includes(image.split("/", 1)[0] ?? "") ? ["--tls-verify=false"] : [];
  const named = several ? ["--manifest", image] : ["--tag", image];
  const push = several ? ["manifest", "push", "--all"] : ["push"];
  return [
    { args: ["build", ...platform, ...variables, ...named, folder] },
    { args: [...push, ...tls, "--digestfile", digestFile, image, `docker://${image}`] },
  ];
}

/** Has an engine of this machine run the steps of a Dockerfile. */
export function engineBuilder(io: Pick<Io, "env">, engine: EngineName, settings: EngineSettings): ContextBuilder {
  return {
    takesSecrets: true,
    async *build(folder, config, signal, secrets): AsyncGenerator<BuildEvent> {
      const tmp = await mkdtemp(join(tmpdir(), "faaslane-publish-"));
      const digestFile = join(tmp, "digest");
      let digest: string | undefined;
      try {
        for (const { args, tells } of engineSteps(
          engine,
          folder,
          { ...config, secrets },
          { ...settings, digestFile },
        )) {
          const name = args.slice(0, args[0] === "buildx" || args[0] === "manifest" ? 2 : 1);
          // Without its arguments, which may hold secrets.
          yield { status: "in_progress", log: [`running ${engine} ${name.join(" ")}`] };
          const step = runInstall(
            {
              command: [engine, ...args],
              cwd: folder,
              env: definedOf(io.env),
              timeoutMs: TIMEOUT_MS,
              maxOutputBytes: MAX_OUTPUT_BYTES,
            },
            signal,
          );
          let next = await step.next();
          for (; !next.done; next = await step.next()) {
            if (tells) digest = next.value.map((line) => DIGEST.exec(line)?.[0]).findLast(Boolean) ?? digest;
            yield { status: "in_progress", log: next.value };
          }
          if (next.value.kind === "failed") {
            yield { status: "failed", error: `${engine} ${name.join(" ")} ${next.value.why}` };
            return;
          }
        }
        digest ??= DIGEST.exec(await readFile(digestFile, "utf8").catch(() => ""))?.[0];
        yield digest === undefined
          ? { status: "failed", error: `${engine} does not say the digest of what it has pushed` }
          : { status: "success", image: `${config.image}@${digest}`, pushed: true };
      } finally {
        await rm(tmp, { recursive: true, force: true });
      }
    },
  };
}

/** @throws {CliError} */
export function parseBuilder(text: string): "auto" | "none" | EngineName {
  const known = (["auto", "none", ...ENGINES] as const).find((name) => name === text);
  if (!known)
    throw new CliError(`--builder must be one of auto, none, ${ENGINES.join(", ")}, not ${JSON.stringify(text)}`);
  return known;
}

function definedOf(env: Io["env"]): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
