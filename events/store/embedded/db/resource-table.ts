import { FaasError } from "../../../../contract/errors.ts";
import type { EmbeddedDatabase, Row } from "../../../../kit/embedded-database.ts";
import type { EventResourceName, ResourceKind, ResourceOrigin } from "../../resource-store.ts";
import type { WireResource } from "../protocol.ts";

interface PutResource {
  readonly name: EventResourceName;
  /** JSON. */
  readonly spec: string;
  readonly origin: ResourceOrigin | undefined;
}

/** Documents by kind, namespace and name. */
export class ResourceTable {
  readonly #db: EmbeddedDatabase;

  constructor(db: EmbeddedDatabase) {
    this.#db = db;
  }

  list(kind: ResourceKind, namespace: string | undefined): WireResource[] {
    const rows =
      namespace === undefined
        ? this.#db.all("SELECT * FROM resources WHERE kind = ? ORDER BY namespace, name", kind)
        : this.#db.all("SELECT * FROM resources WHERE kind = ? AND namespace = ? ORDER BY name", kind, namespace);
    return rows.map(toResource);
  }

  get({ kind, namespace, name }: EventResourceName): WireResource | undefined {
    const row = this.#db.get(
      "SELECT * FROM resources WHERE kind = ? AND namespace = ? AND name = ?",
      ...[kind, namespace, name],
    );
    return row && toResource(row);
  }

  /** @throws {FaasError} `conflict` */
  put({ name, spec, origin }: PutResource, expected: number | undefined): number {
    if (expected !== undefined) {
      const there = this.get(name)?.version ?? 0;
      if (there !== expected) {
        const what = `${name.kind} ${name.namespace}/${name.name}`;
        throw new FaasError("conflict", `${what} has been changed: its version is ${there}, not ${expected}`);
      }
    }
    // One count for all, so that no version comes again, even of a document that was removed in between.
    const version = this.#db.number(
      "UPDATE marks SET last_version = last_version + 1 RETURNING last_version",
    ) as number;
    this.#db.run(
      "INSERT OR REPLACE INTO resources VALUES (?, ?, ?, ?, ?, ?, ?)",
      ...[name.kind, name.namespace, name.name, version, spec],
      ...[origin?.uid ?? null, origin?.generation ?? null],
    );
    return version;
  }

  remove({ kind, namespace, name }: EventResourceName): boolean {
    const { changes } = this.#db.run(
      "DELETE FROM resources WHERE kind = ? AND namespace = ? AND name = ?",
      ...[kind, namespace, name],
    );
    return changes > 0;
  }
}

function toResource({ kind, namespace, name, version, spec, uid, generation }: Row): WireResource {
  return {
    kind: kind as ResourceKind,
    namespace: namespace as string,
    name: name as string,
    version: version as number,
    spec: spec as string,
    ...(uid !== null && { origin: { uid: uid as string, generation: generation as number } }),
  };
}
