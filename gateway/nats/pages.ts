import { API_ERRORS, isApiError, type Link } from "./connection.ts";

/** All items of an answer that JetStream's API gives in pages; none when there is no such stream. */
export async function readPages<A, T>(
  link: Link,
  subject: string,
  request: object,
  itemsOf: (page: A) => readonly T[] | null | undefined,
): Promise<T[]> {
  const all: T[] = [];
  try {
    for (;;) {
      const page = await link.api<A & { readonly total?: number }>(subject, { ...request, offset: all.length });
      const items = itemsOf(page) ?? [];
      for (const item of items) all.push(item);
      if (items.length === 0 || all.length >= (page.total ?? 0)) return all;
    }
  } catch (error) {
    if (isApiError(error, API_ERRORS.streamNotFound)) return all;
    throw error;
  }
}
