import { Command } from "commander";
import { templateDirsOf } from "../build/build-functions.ts";
import { listTemplates } from "../build/templates.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { resolveGatewayUrl } from "../stack/gateway-url.ts";
import { templateFetcherOf } from "./template-fetcher.ts";

interface Flags {
  readonly lang?: string;
  readonly handler?: string;
  readonly prefix?: string;
  readonly append?: string;
  readonly list?: boolean;
  readonly quiet?: boolean;
  readonly gateway?: string;
  readonly memoryLimit?: string;
  readonly memoryRequest?: string;
  readonly cpuLimit?: string;
  readonly cpuRequest?: string;
}

/** `faaslane new NAME --lang TEMPLATE`: a handler from the template's sample, and its entry in a stack file. */
export function newCommand(io: Io): Command {
  const command = new Command("new")
    .argument("[name]", "the function")
    .option("--lang <template>", "template to start from")
    .option("--handler <folder>", "where the handler goes (default: ./NAME)")
    .option("-p, --prefix <prefix>", "what the image's name begins with, e.g. registry/user")
    .option("-a, --append <file>", "stack file to add the function to")
    .option("--list", "list the templates there are")
    .option("-q, --quiet", "do not print the template's welcome")
    .option("-g, --gateway <url>", "gateway URL for the stack file")
    .option("--memory-limit <quantity>", "e.g. 128Mi")
    .option("--memory-request <quantity>", "e.g. 64Mi")
    .option("--cpu-limit <quantity>", "e.g. 100m")
    .option("--cpu-request <quantity>", "e.g. 50m");
  return command.action(async (name: string | undefined) => {
    const flags = command.opts<Flags>();
    const templateDirs = templateDirsOf(io.cwd, io.sourceRoot);
    if (flags.list) {
      const names = await listTemplates(templateDirs);
      io.stdout.write(["Languages available as templates:", ...names.map((lang) => `- ${lang}`), ""].join("\n"));
      return;
    }
    if (!name) throw new CliError("please provide a name for the function, as in `faaslane new hello --lang node`");
    if (!flags.lang) throw new CliError("please choose a template with --lang; --list shows them");
    const { scaffoldFunction: createFunction } = await import("../scaffold/create-function.ts");
    const created = await createFunction({
      name,
      lang: flags.lang,
      folder: flags.handler || name,
      prefix: flags.prefix || io.env.OPENFAAS_PREFIX || "",
      append: flags.append,
      gateway: resolveGatewayUrl({ flag: flags.gateway, env: io.env.OPENFAAS_URL }, true),
      limits: { memory: flags.memoryLimit, cpu: flags.cpuLimit },
      requests: { memory: flags.memoryRequest, cpu: flags.cpuRequest },
      baseDir: io.cwd,
      templateDirs,
      fetchTemplate: templateFetcherOf(io, []),
    });
    io.stdout.write(`Function created in folder: ${created.folder}\nStack file written: ${created.stackFile}\n`);
    if (!flags.quiet && created.welcomeMessage) io.stdout.write(`\n${created.welcomeMessage.trimEnd()}\n`);
  });
}
