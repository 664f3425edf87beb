import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { FunctionRef } from "../../contract/functions.ts";
import type { ResolvedDeployment } from "../backend.ts";
import type { FunctionRecord } from "./definition.ts";

/** Definitions on disk; whatever has returned is durable. */
export interface FunctionTable {
  all(): FunctionRecord[];
  /** Gives it a generation, and its `uid` by that. */
  insert(draft: Omit<FunctionRecord, "uid" | "generation">): FunctionRecord;
  /** Gives it a new generation. */
  replace(record: Omit<FunctionRecord, "generation">): FunctionRecord;
  setReplicas(record: FunctionRecord, replicas: number): FunctionRecord;
  remove(ref: FunctionRef): void;
}

type Row = Record<string, SQLOutputValue>;

function recordOf(row: Row): FunctionRecord {
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

export function openFunctionTable(db: DatabaseSync): FunctionTable {
  const all = db.prepare("SELECT * FROM functions ORDER BY namespace, name");
  const count = db.prepare("UPDATE counters SET value = value + 1 WHERE name = 'generation' RETURNING value");
  const insert = db.prepare(
    `INSERT INTO functions (namespace, name, deployment, digest, replicas, uid, generation, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const replace = db.prepare(
    `UPDATE functions SET deployment = ?, digest = ?, replicas = ?, generation = ? WHERE namespace = ? AND name = ?`,
  );
  const scale = db.prepare("UPDATE functions SET replicas = ? WHERE namespace = ? AND name = ?");
  const remove = db.prepare("DELETE FROM functions WHERE namespace = ? AND name = ?");

  const withGeneration = <T>(write: (generation: number) => T): T => {
    db.exec("BEGIN IMMEDIATE");
    try {
      const result = write(count.get()?.value as number);
      db.exec("COMMIT");
      return result;
    } catch (error) {
      db.exec("ROLLBACK");
      throw error;
    }
  };

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
    setReplicas: (record, replicas) => {
      scale.run(replicas, record.namespace, record.name);
      return { ...record, replicas };
    },
    remove: ({ namespace, name }) => {
      remove.run(namespace, name);
    },
  };
}
