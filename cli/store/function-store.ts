import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeFunctionStore, type StoreFunction } from "../../contract/store.ts";
import { CliError, describeError } from "../errors.ts";
import { type DownloadSettings, download } from "./download.ts";
import { FUNCTION_STORE_VARIABLE } from "./locations.ts";

/** A function to deploy: by its image, or from the sources that come with faaslane. */
export interface Offer extends Omit<StoreFunction, "source" | "images"> {
  readonly images: Readonly<Record<string, string>>;
  /** Template and folder of the handler, an absolute path. */
  readonly source?: { readonly lang: string; readonly handler: string };
}

/** The functions of a store elsewhere. What it says of sources counts for nothing: they would be files of this machine. */
export async function readFunctionStore(
  location: string,
  settings: Pick<DownloadSettings, "baseDir" | "timeoutMs">,
): Promise<Offer[]> {
  const replacedBy = `--url or ${FUNCTION_STORE_VARIABLE}`;
  const text = await download(location, { ...settings, what: "function store", replacedBy });
  return decodeFunctionStore(text, `function store ${location}`).map(({ source: _, ...offer }) => offer);
}

/** The functions that come with faaslane. */
export async function readOwnStore(sourceRoot: string): Promise<Offer[]> {
  const folder = join(sourceRoot, "functions");
  const text = await readFile(join(folder, "store.json"), "utf8").catch(() => '{"functions":[]}');
  return decodeFunctionStore(text, "function store").map(({ source, ...offer }) => ({
    ...offer,
    ...(source && { source: { lang: source.lang, handler: join(folder, source.handler) } }),
  }));
}

/** Those of a store elsewhere too, as far as it can be reached; `own` win over others of their name. */
export async function addOthers(
  own: readonly Offer[],
  location: string,
  { warn, ...settings }: Pick<DownloadSettings, "baseDir" | "timeoutMs"> & { readonly warn: (message: string) => void },
): Promise<Offer[]> {
  try {
    const names = new Set(own.map(({ name }) => name));
    const others = await readFunctionStore(location, settings);
    return [...own, ...others.filter(({ name }) => !names.has(name))];
  } catch (error) {
    warn(describeError(error));
    return [...own];
  }
}

const PLATFORMS: ReadonlyMap<string, string> = new Map([
  ["linux/amd64", "x86_64"],
  ["linux/arm64", "arm64"],
  ["linux/arm/v6", "armhf"],
]);

/** What stores call a platform. */
export function platformOf(text: string): string {
  return PLATFORMS.get(text.toLowerCase()) ?? text;
}

/** Those that can be had for a platform, sorted by name. */
export function offersFor(offers: readonly Offer[], platform: string): Offer[] {
  const wanted = platform.toLowerCase();
  const has = ({ images }: Offer) => Object.keys(images).some((name) => name.toLowerCase() === wanted);
  return offers.filter(has).sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/** By name or title. @throws {CliError} */
export function findOffer(offers: readonly Offer[], wanted: string): Offer {
  const found = offers.find(({ name }) => name === wanted) ?? offers.find(({ title }) => title === wanted);
  if (found === undefined) throw new CliError(`the store has no function ${JSON.stringify(wanted)} for this platform`);
  return found;
}

/** @throws {CliError} */
export function imageFor({ name, images }: Offer, platform: string): string {
  const image = images[platform];
  if (image === undefined) {
    throw new CliError(`${name} has no image for ${platform}, only for ${Object.keys(images).join(", ") || "nothing"}`);
  }
  return image;
}
