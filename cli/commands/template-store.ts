import { resolve } from "node:path";
import { Command } from "commander";
import type { StoredTemplate } from "../../contract/store.ts";
import type { Io } from "../io.ts";
import { templateStoreUrl } from "../store/locations.ts";
import { findStoredTemplate, isOfficial, readTemplateStore } from "../store/template-store.ts";
import { formatTable } from "../table.ts";
import { gitSettings } from "./template-fetcher.ts";

interface Flags {
  readonly url?: string;
  readonly platform?: string;
  readonly recommended?: boolean;
  readonly official?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
  readonly overwrite?: boolean;
}

/** `faaslane template store …` */
export function templateStoreCommand(io: Io): Command {
  const store = new Command("store");
  const add = (name: string, summary: string) => {
    const command = new Command(name).description(summary).option("-u, --url <url>", "another store, a URL or a file");
    store.addCommand(command);
    return command;
  };
  const read = (flags: Flags) => readTemplateStore(templateStoreUrl(io.env, flags.url), io.cwd);

  const list = add("list", "list the templates of the store")
    .alias("ls")
    .option("-p, --platform <name>", "only those of a platform, e.g. x86_64")
    .option("-r, --recommended", "only those that are recommended")
    .option("-o, --official", "only those of OpenFaaS")
    .option("-v, --verbose", "with language and platform")
    .option("-j, --json", "as JSON");
  list.action(async () => {
    const flags = list.opts<Flags>();
    const found = (await read(flags)).filter((template) => isWanted(template, flags));
    if (flags.json) io.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    else io.stdout.write(formatTable([heads(flags), ...found.map((template) => cells(template, flags))]));
  });

  const describe = add("describe", "show a template of the store").argument("<template>", "its name");
  describe.action(async (name: string) => {
    const found = findStoredTemplate(await read(describe.opts<Flags>()), name);
    const rows = [
      ["Name:", found.template],
      ["Description:", found.description ?? ""],
      ["Platform:", found.platform ?? ""],
      ["Language:", found.language ?? ""],
      ["Source:", found.source ?? ""],
      ["Repository:", found.repo],
      ["Official:", String(isOfficial(found))],
      ["Recommended:", String(found.recommended ?? false)],
    ];
    io.stdout.write(formatTable(rows));
  });

  const pull = add("pull", "copy a template of the store into ./template")
    .argument("<template>", "its name, or name@ref")
    .option("--overwrite", "copy over a template that is there (default)", true)
    .option("--no-overwrite", "fail when it is there");
  pull.action(async (wanted: string) => {
    const flags = pull.opts<Flags>();
    const [name = "", ref] = wanted.split("@", 2);
    const { repo } = findStoredTemplate(await read(flags), name);
    const { pullTemplates } = await import("../templates/pull.ts");
    const source = ref === undefined ? repo : `${repo}#${ref}`;
    const request = { source, into: resolve(io.cwd, "template"), suffix: ref, now: new Date() };
    const names = await pullTemplates({ ...request, overwrite: flags.overwrite ?? true }, gitSettings(io));
    io.stdout.write(`Fetched from ${repo}: ${names.join(", ")}\n`);
  });
  return store;
}

function isWanted(template: StoredTemplate, { platform, recommended, official }: Flags): boolean {
  if (platform !== undefined && template.platform?.toLowerCase() !== platform.toLowerCase()) return false;
  return (!recommended || template.recommended === true) && (!official || isOfficial(template));
}

const heads = ({ verbose }: Flags) => [
  ...["NAME", "RECOMMENDED", "SOURCE", "DESCRIPTION"],
  ...(verbose ? ["LANGUAGE", "PLATFORM"] : []),
];

function cells(template: StoredTemplate, { verbose }: Flags): string[] {
  const { template: name, recommended, source = "", description = "", language = "", platform = "" } = template;
  return [name, recommended ? "[x]" : "[ ]", source, description, ...(verbose ? [language, platform] : [])];
}
