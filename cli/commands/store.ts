import { Command } from "commander";
import type { Io } from "../io.ts";
import {
  addOthers,
  findOffer,
  type Offer,
  offersFor,
  platformOf,
  readFunctionStore,
  readOwnStore,
} from "../store/function-store.ts";
import { FUNCTION_STORE_VARIABLE, functionStoreUrl } from "../store/locations.ts";
import { formatTable } from "../table.ts";
import { noteMeaningless } from "./compatible-flags.ts";
import { addStoreDeployOptions, deployOffer, type StoreDeployFlags } from "./store-deploy.ts";

export interface StoreFlags {
  readonly url?: string;
  readonly platform: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** For the store that nobody has named: it must not hold up what needs no network. */
const PATIENCE_MS = 5_000;

/** `faaslane store …`: functions that others have made. */
export function storeCommand(io: Io): Command {
  const store = new Command("store");
  const add = (name: string, summary: string) => {
    const command = new Command(name)
      .description(summary)
      .option(
        "-u, --url <url>",
        `another store, a URL or a file (default: ${FUNCTION_STORE_VARIABLE}, then OpenFaaS's)`,
      )
      .option("-p, --platform <name>", "platform of the images", "x86_64");
    store.addCommand(command);
    return command;
  };

  const list = add("list", "list the functions of the store")
    .alias("ls")
    .option("-v, --verbose", "whole descriptions")
    .option("-j, --json", "as JSON");
  list.action(async () => {
    const flags = list.opts<StoreFlags>();
    const offers = await readOffers(io, flags);
    if (flags.json) return void io.stdout.write(`${JSON.stringify(offers.map(shown), null, 2)}\n`);
    const cut = (text: string) => (flags.verbose || text.length <= 60 ? text : `${text.slice(0, 59)}…`);
    const rows = offers.map(({ name, title = "", author = "", description = "" }) => [
      name,
      title,
      author,
      cut(description),
    ]);
    io.stdout.write(formatTable([["NAME", "TITLE", "AUTHOR", "DESCRIPTION"], ...rows]));
  });

  const describe = add("describe", "show a function of the store")
    .alias("inspect")
    .argument("<function>", "name or title");
  describe.option("-j, --json", "as JSON").action(async (name: string) => {
    const flags = describe.opts<StoreFlags>();
    const offer = findOffer(await readOffers(io, flags), name);
    if (flags.json) io.stdout.write(`${JSON.stringify(shown(offer), null, 2)}\n`);
    else io.stdout.write(describeOffer(offer));
  });

  const deploy = addStoreDeployOptions(add("deploy", "deploy a function of the store"));
  deploy.argument("<function>", "name or title").action(async (name: string) => {
    const flags = deploy.opts<StoreDeployFlags>();
    noteMeaningless(io, deploy);
    await deployOffer(io, findOffer(await readOffers(io, flags, name), name), flags);
  });
  return store;
}

/**
 * The functions of the store that is named; of none, those that come with faaslane before those of OpenFaaS's store, without
 * which it goes on.
 * @param enough a name or title: no other store is asked when one that comes with faaslane has it
 */
async function readOffers(io: Io, { url, platform }: StoreFlags, enough?: string): Promise<Offer[]> {
  const wanted = platformOf(platform);
  const location = functionStoreUrl(io.env, url);
  if (url || io.env[FUNCTION_STORE_VARIABLE]) {
    return offersFor(await readFunctionStore(location, { baseDir: io.cwd }), wanted);
  }
  const own = await readOwnStore(io.sourceRoot);
  if (own.some(({ name, title }) => name === enough || title === enough)) return offersFor(own, wanted);
  const warn = (message: string) => void io.stderr.write(`Warning: ${message}\n`);
  return offersFor(await addOthers(own, location, { baseDir: io.cwd, timeoutMs: PATIENCE_MS, warn }), wanted);
}

/** Where handlers are on this machine is nobody's business. */
const shown = ({ source: _, ...offer }: Offer) => offer;

function describeOffer(offer: Offer): string {
  const { name, title = "", author = "", description = "", repo_url: repository = "", fprocess = "", images } = offer;
  const pairs = (values: Readonly<Record<string, string>> = {}) =>
    Object.entries(values).map(([key, value]) => ["", `${key}=${value}`]);
  const section = (head: string, values: Readonly<Record<string, string>> | undefined) => {
    const rows = pairs(values);
    return rows.length === 0 ? [] : [[`${head}:`, rows[0]?.[1] ?? ""], ...rows.slice(1)];
  };
  return formatTable([
    ["Name:", name],
    ["Title:", title],
    ["Author:", author],
    ["Description:", description],
    ["Repository:", repository],
    ["Process:", fprocess || "<default>"],
    ...section("Images", images),
    ...section("Environment", offer.environment),
    ...section("Labels", offer.labels),
    ...section("Annotations", offer.annotations),
    ...(offer.readOnlyRootFilesystem ? [["Read-only root:", "true"]] : []),
  ]);
}
