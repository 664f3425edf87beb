import { FaasError } from "../../../contract/errors.ts";
import { type FunctionRef, qualifiedName } from "../../../contract/functions.ts";
import { decodeFunctionVersions, type FunctionVersions } from "../../../contract/versions/function-versions.ts";
import type { VersionStore } from "../backend.ts";
import type { ProviderDatabase } from "./database.ts";

type Listener = Parameters<VersionStore["follow"]>[0];

/** What is kept of versions, on disk. */
export interface VersionTable extends VersionStore {
  /** Artefacts that versions run from, as 64 hex digits. */
  digests(): Set<string>;
}

/** Longer documents may need more room than there is for changes on a full disk. */
const SHORT = 64 * 1024;

const PREFIX = "sha256:";

export function openVersionTable({ sql, add, change }: ProviderDatabase): VersionTable {
  const insert = sql.prepare("INSERT INTO versions (generation, document, namespace, name) VALUES (?, ?, ?, ?)");
  const replace = sql.prepare("UPDATE versions SET generation = ?, document = ? WHERE namespace = ? AND name = ?");
  const remove = sql.prepare("DELETE FROM versions WHERE namespace = ? AND name = ?");
  const known = new Map<string, { readonly ref: FunctionRef; readonly versions: FunctionVersions }>();
  for (const { namespace, name, document } of sql.prepare("SELECT * FROM versions").all()) {
    const ref = { namespace: namespace as string, name: name as string };
    known.set(qualifiedName(ref), { ref, versions: decodeFunctionVersions(JSON.parse(document as string)) });
  }
  const listeners = new Set<Listener>();
  const tell = (ref: FunctionRef, versions: FunctionVersions | undefined) => {
    for (const listener of listeners) listener(ref, versions);
  };

  return {
    get: async (ref) => known.get(qualifiedName(ref))?.versions,
    async put({ name, namespace }, versions, generation) {
      const key = qualifiedName({ name, namespace });
      const before = known.get(key);
      if ((before?.versions.generation ?? 0) !== generation)
        throw new FaasError("conflict", `the versions of ${name} have changed in the meantime; read them again`);
      const document = JSON.stringify(versions);
      const write = before ? replace : insert;
      const commit = before && document.length <= SHORT ? change : add;
      commit(() => write.run(versions.generation, document, namespace, name));
      known.set(key, { ref: { name, namespace }, versions });
      tell({ name, namespace }, versions);
    },
    async remove({ name, namespace }) {
      if (!known.has(qualifiedName({ name, namespace }))) return;
      change(() => remove.run(namespace, name));
      known.delete(qualifiedName({ name, namespace }));
      tell({ name, namespace }, undefined);
    },
    follow(listener) {
      listeners.add(listener);
      for (const { ref, versions } of known.values()) listener(ref, versions);
      return () => void listeners.delete(listener);
    },
    digests() {
      const all = [...known.values()].flatMap(({ versions }) => versions.versions);
      return new Set(all.flatMap(({ content: { digest } }) => digest?.slice(PREFIX.length) ?? []));
    },
  };
}
