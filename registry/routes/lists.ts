import { sendJsonText } from "../answers.ts";
import type { Asked } from "../asked.ts";
import type { Operation } from "../operation.ts";
import { RegistryFailure } from "../registry-failure.ts";
import type { RegistryStore } from "../store.ts";

/** Names in one answer, unless fewer are asked for. */
const MAX_PAGE = 1000;

/** `GET /v2/<name>/tags/list` */
export async function answerTags(
  { repository }: Extract<Operation, { kind: "tags" }>,
  asked: Asked,
  { manifests }: RegistryStore,
): Promise<void> {
  const tags = pageOf(await manifests.tags(repository), asked, `/v2/${repository}/tags/list`);
  sendJsonText(asked.res, { name: repository, tags });
}

/** `GET /v2/_catalog`, which is Docker's: repositories that have an image. */
export async function answerCatalog(asked: Asked, store: RegistryStore): Promise<void> {
  sendJsonText(asked.res, { repositories: pageOf(await store.repositories(), asked, "/v2/_catalog") });
}

/** The part of `sorted` that is asked for with `n` and `last`; a `Link` leads to the next. */
function pageOf(sorted: readonly string[], { res, query }: Asked, path: string): readonly string[] {
  const last = query.get("last");
  const rest = last === null ? sorted : sorted.filter((name) => name > last);
  const size = sizeOf(query.get("n"));
  const page = rest.slice(0, size);
  if (page.length < rest.length && page.length > 0) {
    const next = new URLSearchParams({ n: String(size), last: page.at(-1) as string });
    res.setHeader("Link", `<${path}?${next}>; rel="next"`);
  }
  return page;
}

function sizeOf(text: string | null): number {
  if (text === null) return MAX_PAGE;
  if (!/^\d{1,9}$/.test(text)) throw new RegistryFailure("UNSUPPORTED", "n must be a number", { status: 400 });
  return Math.min(Number(text), MAX_PAGE);
}
