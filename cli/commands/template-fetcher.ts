import type { FetchTemplate } from "../build/templates.ts";
import { type Io, isDebug } from "../io.ts";
import type { TemplateSource } from "../stack/types.ts";

/** Fetches templates that are missing: those that the stack file names from where it says, all others from the store. */
export function templateFetcherOf(io: Io, configured: readonly TemplateSource[]): FetchTemplate {
  let fetcher: FetchTemplate | undefined;
  // Most commands find what they need, and are spared the loading of it.
  return async (lang) => {
    const { createTemplateFetcher } = await import("../templates/fetch-missing.ts");
    const { templateStoreUrl } = await import("../store/locations.ts");
    fetcher ??= createTemplateFetcher({
      configured,
      storeUrl: templateStoreUrl(io.env),
      print: (line) => void io.stdout.write(`${line}\n`),
      ...gitSettings(io),
    });
    return await fetcher(lang);
  };
}

/** How git is run for this command line. */
export function gitSettings(io: Io) {
  const trace = (line: string) => void io.stderr.write(`${line}\n`);
  return { baseDir: io.cwd, env: io.env, ...(isDebug(io) && { trace }) };
}
