import { resolve } from "node:path";
import { Command } from "commander";
import { templateDirsOf } from "../build/build-functions.ts";
import { listTemplates } from "../build/templates.ts";
import { CliError, SilentFailure } from "../errors.ts";
import type { Io } from "../io.ts";
import { TEMPLATE_REPOSITORY_VARIABLE, TEMPLATE_STORE_VARIABLE, templateRepository } from "../store/locations.ts";
import type { StackFlags } from "./options.ts";
import { readStackFile } from "./selection.ts";
import { gitSettings, templateFetcherOf } from "./template-fetcher.ts";
import { templateStoreCommand } from "./template-store.ts";

interface PullFlags extends StackFlags {
  readonly overwrite: boolean;
}

/** `faaslane template …`: templates of others. */
export function templateCommand(io: Io): Command {
  const template = new Command("template");
  template.addCommand(listCommand(io));
  template.addCommand(pullCommand(io));
  template.addCommand(templateStoreCommand(io).description("the templates of the store"));
  return template;
}

function listCommand(io: Io): Command {
  const list = new Command("list").alias("ls").description("list the templates that are there");
  return list.action(async () => {
    const names = await listTemplates(templateDirsOf(io.cwd, io.sourceRoot));
    io.stdout.write(names.map((name) => `${name}\n`).join(""));
  });
}

function pullCommand(io: Io): Command {
  const pull = new Command("pull")
    .description("copy the templates of a repository into ./template")
    .argument("[repository]", "URL or folder, with #branch, #tag or #sha-COMMIT; stack for those of the stack file")
    .option("-f, --yaml <file>", "stack file for: template pull stack")
    .option("--overwrite", "copy over templates that are there (default)", true)
    .option("--no-overwrite", "fail for templates that are there")
    .option("--debug", "show what git is run with")
    .addHelpText(
      "after",
      `
Without an argument: the repository in ${TEMPLATE_REPOSITORY_VARIABLE}, or that of OpenFaaS.
Where the store of templates is, says ${TEMPLATE_STORE_VARIABLE}.`,
    );
  return pull.action(async (argument: string | undefined) => {
    const flags = pull.optsWithGlobals<PullFlags & { debug?: boolean }>();
    const settings = gitSettings(flags.debug ? { ...io, env: { ...io.env, FAAS_DEBUG: "1" } } : io);
    if (argument === "stack") return await pullStack(io, flags);
    const source = templateRepository(io.env, argument);
    const { pullTemplates } = await import("../templates/pull.ts");
    const into = resolve(io.cwd, "template");
    const names = await pullTemplates({ source, into, overwrite: flags.overwrite, now: new Date() }, settings);
    io.stdout.write(
      `Fetched ${names.length === 1 ? "1 template" : `${names.length} templates`}: ${names.join(", ")}\n`,
    );
  });
}

/** All that `configuration.templates` names, be it there or not. */
async function pullStack(io: Io, flags: StackFlags): Promise<void> {
  const stack = await readStackFile(io, flags);
  if (!stack) throw new CliError("there is no stack.yaml or stack.yml here: name one with -f");
  if (stack.templates.length === 0) throw new CliError("the stack file has no configuration.templates");
  const fetchTemplate = templateFetcherOf(io, stack.templates);
  let failed = false;
  for (const { name } of stack.templates) {
    await fetchTemplate(name).catch((error: Error) => {
      failed = true;
      io.stderr.write(`Error: ${error.message}\n`);
    });
  }
  if (failed) throw new SilentFailure();
}
