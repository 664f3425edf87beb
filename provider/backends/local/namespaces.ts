import { FaasError } from "../../../contract/errors.ts";
import type { FunctionNamespace } from "../../../contract/namespaces.ts";
import { isNamespaceName } from "../../../contract/namespaces.ts";
import type { NamespaceStore } from "../backend.ts";
import type { ProviderDatabase } from "./database.ts";

/** What the store has to know and to do elsewhere when a namespace goes. */
export interface NamespaceUse {
  hasFunctions(namespace: string): boolean;
  removeSecrets(namespace: string): Promise<void>;
}

const MARK = { openfaas: "1" };

export interface LocalNamespaces extends NamespaceStore {
  has(name: string): boolean;
  names(): string[];
}

/** Namespaces in the database. The default one needs no row and is always there. */
export function openNamespaces(
  { sql, add, change }: ProviderDatabase,
  defaultName: string,
  use: NamespaceUse,
): LocalNamespaces {
  const all = sql.prepare("SELECT name FROM namespaces ORDER BY name");
  const find = sql.prepare("SELECT labels, annotations FROM namespaces WHERE name = ?");
  const put = sql.prepare(
    `INSERT INTO namespaces (name, labels, annotations) VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET labels = excluded.labels, annotations = excluded.annotations`,
  );
  const remove = sql.prepare("DELETE FROM namespaces WHERE name = ?");

  const has = (name: string) => name === defaultName || find.get(name) !== undefined;
  const save = ({ name, labels, annotations }: FunctionNamespace) => {
    add(() => put.run(name, JSON.stringify({ ...labels, ...MARK }), JSON.stringify({ ...annotations, ...MARK })));
  };
  const require = (name: string) => {
    if (!has(name)) throw new FaasError("notFound", `namespace ${name} not found`);
  };
  const names = () => {
    const others = all.all().map((row) => row.name as string);
    return [defaultName, ...others.filter((name) => name !== defaultName)];
  };

  return {
    has,
    names,
    list: async () => names(),
    get: async (name) => {
      const row = find.get(name);
      if (row) {
        const parse = (text: unknown) => JSON.parse(text as string) as Record<string, string>;
        return { name, labels: parse(row.labels), annotations: parse(row.annotations) };
      }
      return name === defaultName ? { name, labels: MARK, annotations: MARK } : undefined;
    },
    create: async (namespace) => {
      const { name } = namespace;
      if (!isNamespaceName(name))
        throw new FaasError("invalid", `namespace: name: (${name}) is invalid, must be a DNS label`);
      if (has(name)) throw new FaasError("conflict", `namespace ${name} already exists`);
      save(namespace);
    },
    update: async (namespace) => {
      require(namespace.name);
      save(namespace);
    },
    remove: async (name) => {
      require(name);
      if (name === defaultName)
        throw new FaasError("invalid", `namespace ${name} is the default and cannot be removed`);
      if (use.hasFunctions(name)) throw new FaasError("conflict", `namespace ${name} still has functions`);
      change(() => remove.run(name));
      await use.removeSecrets(name);
    },
  };
}
