import { isImageTag, parseImageReference } from "../../oci/image-reference.ts";
import type { ContextBuilder } from "../build/build-functions.ts";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { registryClients } from "./registry-clients.ts";

/**
 * Gives what `builder` has pushed more tags: its manifest is pushed once more under each.
 * @throws {CliError} for a tag that none can be
 */
export async function taggingBuilder(
  io: Pick<Io, "env" | "home" | "cwd">,
  builder: ContextBuilder,
  { tags, insecure }: { readonly tags: readonly string[]; readonly insecure: readonly string[] },
): Promise<ContextBuilder> {
  const broken = tags.find((tag) => !isImageTag(tag));
  if (broken !== undefined) {
    throw new CliError(
      `--extra-tag must be at most 128 letters, digits, _, - and ., and begin with none of the last two, not ${JSON.stringify(broken)}`,
    );
  }
  const clientOf = await registryClients(io, insecure);
  return {
    ...(builder.takesSecrets && { takesSecrets: true }),
    async *build(folder, config, signal, secrets) {
      for await (const event of builder.build(folder, config, signal, secrets)) {
        if (event.status === "success") {
          const { registry, repository, digest, tag } = parseImageReference(event.image);
          const client = clientOf(registry);
          const manifest = await client.fetchManifest(repository, digest ?? tag ?? "latest", signal);
          for (const extra of tags) await client.pushManifest(repository, extra, manifest, signal);
        }
        yield event;
      }
    },
  };
}
