import { type Alias, type Document, isAlias, isCollection, isMap, isNode, isPair, isScalar, type Node } from "yaml";

export interface Survey {
  /** What each alias stands for: the last node before it that was anchored with its name. */
  readonly aliases: ReadonlyMap<Alias, Node | undefined>;
  /** The first key that its mapping has twice. */
  readonly repeated: { readonly key: string; readonly offset: number } | undefined;
}

/** Looks at each node of a document once, in its order. Keys other than plain text are never the same. */
export function surveyDocument({ contents }: Pick<Document, "contents">): Survey {
  const aliases = new Map<Alias, Node | undefined>();
  const anchors = new Map<string, Node>();
  let repeated: Survey["repeated"];
  const keysOf = new Map<object, Set<string>>();

  const checkKey = (key: unknown, map: object) => {
    if (!isScalar(key)) return;
    const name = String(key.value);
    const keys = keysOf.get(map) ?? new Set();
    keysOf.set(map, keys);
    if (keys.has(name)) repeated ??= { key: name, offset: key.range?.[0] ?? 0 };
    keys.add(name);
  };

  // A stack of our own: a deep document is not to exhaust the call stack.
  const pending: { readonly item: unknown; readonly map?: object }[] = [{ item: contents }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { item, map } = next;
    if (isPair(item)) {
      if (map) checkKey(item.key, map);
      pending.push({ item: item.value }, { item: item.key });
      continue;
    }
    if (!isNode(item)) continue;
    if (isAlias(item)) aliases.set(item, anchors.get(item.source));
    else if (item.anchor !== undefined) anchors.set(item.anchor, item);
    if (isCollection(item)) {
      const inside = isMap(item) ? item : undefined;
      for (const child of item.items.toReversed()) pending.push({ item: child, ...(inside && { map: inside }) });
    }
  }
  return { aliases, repeated };
}
