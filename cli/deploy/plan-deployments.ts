import { readFile, realpath } from "node:fs/promises";
import { resolve } from "node:path";
import type { FunctionDeployment } from "../../contract/functions.ts";
import { isInProject } from "../build/project-root.ts";
import { createTagFacts } from "../build/tag-facts.ts";
import { type FetchTemplate, findOrFetchTemplate } from "../build/templates.ts";
import { CliError } from "../errors.ts";
import { resolveEnvironment } from "../stack/environment.ts";
import { type TagMode, tagImage } from "../stack/image-tag.ts";
import type { StackFunction } from "../stack/types.ts";
import { buildFunctionDeployment, type DeployOverrides } from "./deployment.ts";

export interface DeployPlan {
  /** Where environment files and handlers are looked for. */
  readonly baseDir: string;
  readonly templateDirs: readonly string[];
  /** For templates that are in none of them. */
  readonly fetchTemplate?: FetchTemplate | undefined;
  /** Environment files from outside of it are not read; absent reads any. */
  readonly projectRoot?: string;
  /** Whether the template's `fprocess` counts when the stack file has none. */
  readonly readTemplate: boolean;
  readonly tag: TagMode;
  /** `--env`. */
  readonly environment: Readonly<Record<string, string>>;
  readonly flags: DeployOverrides;
}

/** The deployment of one function, after reading its environment files and its template. @throws {CliError} */
export async function planDeployment(fn: StackFunction, plan: DeployPlan): Promise<FunctionDeployment> {
  if (!fn.image) throw new CliError("image: is missing from the stack file");
  const facts = createTagFacts(plan.baseDir, fn.handler);
  return buildFunctionDeployment(
    fn,
    {
      image: await tagImage(fn.image, plan.tag, facts),
      environment: await resolveEnvironment(fn, plan.environment, (path) => readEnvironmentFile(path, plan)),
      templateProcess: await templateProcess(fn, plan),
    },
    plan.flags,
  );
}

async function templateProcess(fn: StackFunction, plan: DeployPlan): Promise<string | undefined> {
  if (!plan.readTemplate || fn.lang === undefined || fn.lang.toLowerCase() === "dockerfile") return undefined;
  try {
    return (await findOrFetchTemplate(fn.lang, plan.templateDirs, plan.fetchTemplate)).fprocess;
  } catch (cause) {
    if (!(cause instanceof CliError)) throw cause;
    throw new CliError(`${cause.message}; --read-template=false deploys without it`, { cause });
  }
}

async function readEnvironmentFile(path: string, { baseDir, projectRoot: root }: DeployPlan): Promise<string> {
  const file = resolve(baseDir, path);
  const failed = (cause: Error) => {
    throw new CliError(`environment_file: cannot read ${path}: ${cause.message}`, { cause });
  };
  if (root !== undefined && !isInProject(await realpath(file).catch(failed), root)) {
    throw new CliError(
      `environment_file: ${path} is outside of the project in ${root}; --allow-outside reads it all the same`,
    );
  }
  return await readFile(file, "utf8").catch(failed);
}
