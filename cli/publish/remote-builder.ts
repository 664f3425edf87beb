import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { create, replace } from "tar";
import { PACKAGE } from "../../contract/build.ts";
import { askBuilder } from "../../kit/ask-builder.ts";
import type { ContextBuilder } from "../build/build-functions.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";

export interface RemoteBuilderSettings {
  /** Of a builder: ours, or one of OpenFaaS's. */
  readonly url: string;
  /** File with what its requests are signed with; unsigned without. */
  readonly payloadSecret: string | undefined;
  /** As `linux/amd64`; the builder's own when empty. */
  readonly platforms: readonly string[];
}

/**
 * Has a builder make the images and push them.
 * @throws {CliError} when the secret cannot be read, or `url` is none
 */
export async function remoteBuilder(io: Pick<Io, "cwd">, settings: RemoteBuilderSettings): Promise<ContextBuilder> {
  const { platforms } = settings;
  const url = builderUrl(settings.url);
  const secret = settings.payloadSecret && (await readSecret(resolve(io.cwd, settings.payloadSecret)));
  return {
    async *build(folder, { image, buildArgs }, signal) {
      const tmp = await mkdtemp(join(tmpdir(), "faaslane-publish-"));
      try {
        const config = { image, buildArgs, ...(platforms.length > 0 && { platforms }) };
        await writeFile(join(tmp, PACKAGE.config), JSON.stringify(config), { mode: 0o600 });
        const file = join(tmp, "package.tar");
        await create({ cwd: folder, file, prefix: PACKAGE.context, portable: true, follow: false }, ["."]);
        await replace({ cwd: tmp, file, portable: true }, [PACKAGE.config]);
        yield* askBuilder({ url, file, secret: secret || undefined }, signal);
      } finally {
        await rm(tmp, { recursive: true, force: true });
      }
    },
  };
}

function builderUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new CliError(`--remote-builder must be a URL such as http://builder:8080, not ${JSON.stringify(text)}`);
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

async function readSecret(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw new CliError(`--payload-secret: cannot read ${file}: ${(cause as NodeJS.ErrnoException).code}`);
  }
}
