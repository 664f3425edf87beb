import type { SQLOutputValue } from "node:sqlite";
import type { FunctionRef } from "../../../contract/functions.ts";
import type { ResolvedDeployment } from "../backend.ts";
import type { ProviderDatabase } from "./database.ts";
import type { StoredFunction } from "./definition.ts";

/** Definitions on disk; whatever has returned is durable. */
export interface FunctionStorage {
  all(): StoredFunction[];
  /** Gives it a generation, and its `uid` by that. @throws {FaasError} `noSpace` */
  insert(draft: Omit<StoredFunction, "uid" | "generation">): StoredFunction;
  /** Gives it a new generation. @throws {FaasError} `noSpace` */
  replace(record: Omit<StoredFunction, "generation">): StoredFunction;
  /** Keeps its generation, and so its replicas. @throws {FaasError} `noSpace` */
  redescribe(record: StoredFunction): StoredFunction;
  setReplicas(record: StoredFunction, replicas: number): StoredFunction;
  remove(ref: FunctionRef): void;
}

type Row = Record<string, SQLOutputValue>;

function recordOf(row: Row): StoredFunction {
  return {
    name: row.name as string,
    namespace: row.namespace as string,
    // Written by this table from a value of that type, in a file nobody else writes.
    deployment: JSON.parse(row.deployment as string) as ResolvedDeployment,
    digest: row.digest as string,
    replicas: row.replicas as number,
    uid: row.uid as number,
    generation: row.generation as number,
    createdAt: row.created_at as string,
  };
}

export function openFunctionTable({ sql, add, change }: ProviderDatabase): FunctionStorage {
  const all = sql.prepare("SELECT * FROM functions ORDER BY namespace, name");
  const count = sql.prepare("UPDATE counters SET value = value + 1 WHERE name = 'generation' RETURNING value");
  const insert = sql.prepare(
    `INSERT INTO functions (namespace, name, deployment, digest, replicas, uid, generation, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const replace = sql.prepare(
    `UPDATE functions SET deployment = ?, digest = ?, replicas = ?, generation = ? WHERE namespace = ? AND name = ?`,
  );
  const scale = sql.prepare("UPDATE functions SET replicas = ? WHERE namespace = ? AND name = ?");
  const remove = sql.prepare("DELETE FROM functions WHERE namespace = ? AND name = ?");

  const withGeneration = <T>(write: (generation: number) => T): T => add(() => write(count.get()?.value as number));

  return {
    all: () => all.all().map(recordOf),
    insert: (draft) =>
      withGeneration((generation) => {
        const { namespace, name, deployment, digest, replicas, createdAt } = draft;
        const definition = JSON.stringify(deployment);
        insert.run(namespace, name, definition, digest, replicas, generation, generation, createdAt);
        return { ...draft, uid: generation, generation };
      }),
    replace: (record) =>
      withGeneration((generation) => {
        const { namespace, name, deployment, digest, replicas } = record;
        replace.run(JSON.stringify(deployment), digest, replicas, generation, namespace, name);
        return { ...record, generation };
      }),
    redescribe: (record) =>
      add(() => {
        const { namespace, name, deployment, digest, replicas, generation } = record;
        replace.run(JSON.stringify(deployment), digest, replicas, generation, namespace, name);
        return record;
      }),
    setReplicas: (record, replicas) => {
      change(() => scale.run(replicas, record.namespace, record.name));
      return { ...record, replicas };
    },
    remove: ({ namespace, name }) => {
      change(() => remove.run(namespace, name));
    },
  };
}
