import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { FaasError } from "../../../contract/errors.ts";
import { NEVER_IGNORED, parseIgnoreFile } from "../../../contract/ignore-file.ts";
import type { UiFile, UiTemplate, UiTemplates } from "../../../contract/ui/deploy.ts";
import { ifMissing, readFiles } from "./read-files.ts";

/** What `template.yml` says, as far as the page needs it. */
interface Manifest {
  readonly extends?: string;
  readonly handler_folder?: string;
  readonly welcome_message?: string;
}

/** More of them are a mistake. */
const MAX_LAYERS = 8;
/** Its handler is the whole context. */
const DOCKERFILE = "dockerfile";

/** Templates that come with the gateway. They do not change while it runs, so each is read once. */
export class Templates {
  readonly #folder: string;
  readonly #found = new Map<string, Promise<UiTemplate>>();
  #list: Promise<UiTemplates> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(): Promise<UiTemplates> {
    this.#list ??= this.#readList().catch((error: unknown) => {
      this.#list = undefined;
      throw error;
    });
    return await this.#list;
  }

  /** @throws {FaasError} `notFound` */
  async get(name: string): Promise<UiTemplate> {
    const { templates } = await this.list();
    if (!templates.some((template) => template.name === name)) {
      throw new FaasError("notFound", `there is no template ${JSON.stringify(name.slice(0, 100))}`);
    }
    const known = this.#found.get(name) ?? this.#read(name);
    this.#found.set(name, known);
    known.catch(() => this.#found.delete(name));
    return await known;
  }

  async #readList(): Promise<UiTemplates> {
    const entries = await readdir(this.#folder, { withFileTypes: true }).catch(ifMissing);
    const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    const manifests = await Promise.all(names.map(async (name) => [name, await this.#manifest(name)] as const));
    const templates = manifests.flatMap(([name, manifest]) => {
      const about = manifest?.welcome_message?.trim();
      return manifest ? [{ name, ...(about && { about }) }] : [];
    });
    return { templates: templates.sort((a, b) => (a.name < b.name ? -1 : 1)) };
  }

  async #manifest(name: string): Promise<Manifest | undefined> {
    const text = await readFile(join(this.#folder, name, "template.yml"), "utf8").catch(ifMissing);
    if (typeof text !== "string") return undefined;
    const { parse } = await import("yaml");
    return (parse(text) ?? {}) as Manifest;
  }

  /** Its layers over one another: those that it extends, then its own. */
  async #read(name: string): Promise<UiTemplate> {
    const layers: { readonly name: string; readonly manifest: Manifest }[] = [];
    for (let at: string | undefined = name; at !== undefined; ) {
      const manifest: Manifest | undefined = await this.#manifest(at);
      if (!manifest || layers.length >= MAX_LAYERS) {
        throw new FaasError("internal", `template ${name}: extends what is not there, or too many others`);
      }
      layers.unshift({ name: at, manifest });
      at = manifest.extends;
    }
    const handlerFolder =
      layers.findLast(({ manifest }) => manifest.handler_folder)?.manifest.handler_folder ?? "function";
    const files = new Map<string, UiFile>();
    const ignore: string[] = [];
    let sample: UiFile[] = [];
    for (const layer of layers) {
      const own = await readFiles(join(this.#folder, layer.name));
      const rules = own.find(({ path }) => path === ".dockerignore");
      if (rules) ignore.push(rules.text);
      const handler = own.filter(({ path }) => path.startsWith(`${handlerFolder}/`));
      if (handler.length > 0) sample = handler;
      for (const file of own) if (!handler.includes(file)) files.set(file.path, file);
    }
    const ignored = ignore.map(parseIgnoreFile);
    const kept = [...files.values()].filter(
      ({ path }) => NEVER_IGNORED.test(path) || !ignored.some((rules) => rules.ignores(path)),
    );
    const below = sample.map((file) => ({ ...file, path: file.path.slice(handlerFolder.length + 1) }));
    if (name === DOCKERFILE) return { name, handlerFolder: "", files: [], sample: below, ignore: [] };
    return { name, handlerFolder, files: kept, sample: below, ignore };
  }
}
