import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FaasError } from "../../contract/errors.ts";

export interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
  /** The same, compressed. */
  readonly gzip: Buffer;
  readonly brotli: Buffer;
}

/** The files of the page, in memory. */
export interface Assets {
  /** Names the files as a whole: it changes when one of them does. */
  readonly build: string;
  readonly files: ReadonlyMap<string, Asset>;
  /** @param base path of the page, with a slash at its end */
  page(base: string): string;
}

const FOLDER = fileURLToPath(new URL("../../dist/ui", import.meta.url));
const NAME = /^[\w.-]+$/;

/** @throws {FaasError} `unavailable` when the page has not been built */
export function loadAssets(folder = FOLDER): Assets {
  try {
    const list = JSON.parse(readFileSync(join(folder, "files.json"), "utf8")) as {
      readonly build: string;
      readonly files: readonly { readonly name: string; readonly type: string }[];
    };
    const files = list.files.filter(({ name }) => NAME.test(name));
    const read = (name: string) => readFileSync(join(folder, name));
    const html = read("index.html").toString("utf8");
    return {
      build: list.build,
      files: new Map(
        files.map(({ name, type }) => [
          name,
          { type, bytes: read(name), gzip: read(`${name}.gz`), brotli: read(`${name}.br`) },
        ]),
      ),
      page: (base) => html.replaceAll("%BASE%", escapeText(base)),
    };
  } catch (cause) {
    throw new FaasError("unavailable", "the dashboard has not been built; run: npm run build:ui", { cause });
  }
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}
