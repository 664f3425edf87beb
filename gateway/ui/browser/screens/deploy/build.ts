import type { BuildEvent } from "../../../../../contract/build.ts";
import type { UiTemplate } from "../../../../../contract/ui/deploy.ts";
import { plainLine } from "../../ansi.ts";
import { ApiError, ask, askJson } from "../../api.ts";
import { readLines } from "../../read-lines.ts";
import { layOut } from "../../upload/context.ts";
import { gzip, type PackedFile, packTar } from "../../upload/tar.ts";

export interface BuildRequest {
  /** `name:tag` of what is made. */
  readonly image: string;
  readonly template: string;
  readonly handler: readonly PackedFile[];
  readonly onLine: (line: string) => void;
  /** Stops it. */
  readonly signal: AbortSignal;
}

/**
 * Lays a handler into its template, and has the platform build it.
 * @returns the image to deploy: by its digest where it lies in a registry
 * @throws {ApiError} with the builder's words, {UploadProblem} naming a file
 */
export async function buildImage({ image, template, handler, onLine, signal }: BuildRequest): Promise<string> {
  const path = `/ui/api/templates/${encodeURIComponent(template)}`;
  const { files, leftOut } = await layOut(await askJson<UiTemplate>(path, { signal }), handler);
  onLine(`${files.length} files by the template ${template}${leftOut === 0 ? "" : `; ${leftOut} left out`}`);
  const form = new FormData();
  form.set("config", JSON.stringify({ image }));
  form.set("context", await gzip(packTar(files)), "context.tar.gz");
  const answer = await ask("/system/build", { method: "POST", body: form, signal });
  for await (const line of readLines(answer)) {
    if (line === "") continue;
    const event = JSON.parse(line) as BuildEvent;
    if (event.status === "failed") throw new ApiError(0, event.error);
    if (event.status === "success") {
      onLine(`built ${event.image}`);
      return event.pushed ? event.image : image;
    }
    for (const each of event.log) onLine(plainLine(each));
  }
  throw new ApiError(0, "the builder ended before the build was done");
}
