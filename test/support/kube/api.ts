import { isDeepStrictEqual } from "node:util";
import { admit } from "./admission.ts";
import { leavesOf } from "./apply/field-set.ts";
import {
  ownedAfterApply,
  ownedAfterUpdate,
  ownedAsGiven,
  ownedBeforeFirstApply,
  type Writer,
} from "./apply/managed-fields.ts";
import { mergeApplied, removePaths } from "./apply/merge.ts";
import { type DefaultsContext, withDefaults } from "./defaults.ts";
import { type DeleteOptions, deleteObject } from "./delete.ts";
import type { Random } from "./random.ts";
import { type FieldValidation, readApplied, readObject } from "./reading.ts";
import { groupVersion, type Resource, type ResourceTable } from "./resources.ts";
import {
  ApiError,
  alreadyExists,
  badRequest,
  conflict,
  invalid,
  MODIFIED,
  methodNotAllowed,
  notFound,
} from "./status.ts";
import { objectKey, type Store } from "./store.ts";
import { type Fields, isFields, type KubeObject, type ObjectKey, type ObjectMeta, timestamp } from "./types.ts";
import { afterUpdate, inVersion } from "./updating.ts";
import { validateObject } from "./validation/kinds.ts";

export interface WriteOptions {
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
  readonly dryRun: boolean;
  /** Only `status`, or only the rest. */
  readonly subresource: "" | "status" | "scale";
}

export interface Written {
  readonly object: KubeObject;
  readonly created: boolean;
  readonly warnings: readonly string[];
}

export interface ApiParts {
  readonly store: Store;
  readonly resources: ResourceTable;
  readonly random: Random;
  readonly now: () => number;
  readonly defaults: DefaultsContext;
}

/** A body may lack what the server fills in. */
type Body = Fields;

/** What the verbs mean: checks, defaults, versions and ownership around the store. It knows nothing of HTTP. */
export class Api {
  readonly store: Store;
  readonly resources: ResourceTable;
  readonly #parts: ApiParts;

  constructor(parts: ApiParts) {
    this.#parts = parts;
    this.store = parts.store;
    this.resources = parts.resources;
  }

  now(): string {
    return timestamp(this.#parts.now());
  }

  get(resource: Resource, key: ObjectKey): KubeObject {
    const object = this.store.get(resource.key, key);
    if (object === undefined) throw notFound(resource, key.name);
    return inVersion(resource, object);
  }

  create(resource: Resource, namespace: string, body: Body, options: WriteOptions): Written {
    const { object: given, warnings } = readObject(resource, { namespace, name: "" }, body, options.fieldValidation);
    if (given.metadata.resourceVersion !== undefined && given.metadata.resourceVersion !== "") {
      throw new ApiError(500, "", "resourceVersion should not be set on objects to be created");
    }
    const writer = writerOf(resource, options, "Update");
    const object = this.#complete(resource, given);
    const managedFields = ownedAfterUpdate(
      [],
      writer,
      new Map(),
      leavesOf(resource.type, object, !resource.hasStatus),
      this.now(),
    );
    return { object: this.#insert(resource, object, managedFields, options.dryRun), created: true, warnings };
  }

  /** Creates what a controller has built: completed and admitted, but not checked. @throws {ApiError} when it is not admitted */
  insert(resourceKey: string, body: Fields, manager: string): KubeObject {
    const resource = this.resources.byKey(resourceKey);
    const object = this.#complete(resource, body as unknown as KubeObject);
    const owned = {
      manager,
      operation: "Update",
      apiVersion: object.apiVersion,
      time: this.now(),
      fieldsType: "FieldsV1",
    } as const;
    const fieldsV1 = { "f:metadata": { "f:labels": {}, "f:ownerReferences": {} }, "f:spec": {} };
    const admitted = { ...object, metadata: { ...object.metadata, managedFields: [{ ...owned, fieldsV1 }] } };
    admit(this, resource, admitted);
    return this.store.put(resource.key, admitted);
  }

  update(resource: Resource, key: ObjectKey, body: Body, options: WriteOptions): Written {
    const { object: given, warnings } = readObject(resource, key, body, options.fieldValidation);
    const live = this.store.get(resource.key, key);
    if (live === undefined) {
      if (!resource.createOnUpdate || options.subresource !== "") throw notFound(resource, key.name);
      return this.create(resource, key.namespace, body, options);
    }
    const { resourceVersion } = given.metadata;
    if (!resourceVersion && !resource.unconditionalUpdate) {
      throw invalid(resource, key.name, [
        {
          reason: "FieldValueInvalid",
          message: "Invalid value: 0: must be specified for an update",
          field: "metadata.resourceVersion",
        },
      ]);
    }
    return { ...this.#replace(resource, live, given, writerOf(resource, options, "Update"), options), warnings };
  }

  /** @param change makes the patched object of the live one, and may be given one of another version of the resource */
  patch(resource: Resource, key: ObjectKey, change: (live: Fields) => unknown, options: WriteOptions): Written {
    const live = this.get(resource, key);
    const patched = change(live);
    if (!isFields(patched)) throw badRequest("the patched value is not an object");
    const { object, warnings } = readObject(resource, key, patched, options.fieldValidation);
    return { ...this.#replace(resource, live, object, writerOf(resource, options, "Update"), options), warnings };
  }

  /** Server-side apply. */
  apply(resource: Resource, key: ObjectKey, body: Body, options: WriteOptions & { readonly force: boolean }): Written {
    const config = readApplied(resource, key, body);
    const writer = writerOf(resource, options, "Apply");
    const live = this.store.get(resource.key, key);
    if (live === undefined && options.subresource !== "") throw notFound(resource, key.name);
    const withStatus = options.subresource === "status";
    const configured = leavesOf(resource.type, config, withStatus);
    const time = this.now();
    if (live === undefined) {
      const { entries } = ownedAfterApply(
        [],
        writer,
        { configured, before: new Map(), merged: configured },
        { force: true, time },
      );
      const { object: given } = readObject(resource, key, config, options.fieldValidation);
      const object = this.#complete(resource, given);
      return { object: this.#insert(resource, object, entries, options.dryRun), created: true, warnings: [] };
    }
    const inOurs = inVersion(resource, live);
    const merged = mergeApplied(resource.type, inOurs, config) as Fields;
    const leaves = {
      configured,
      before: leavesOf(resource.type, inOurs, withStatus),
      merged: leavesOf(resource.type, merged, withStatus),
    };
    const { managedFields = [] } = live.metadata;
    const owned = managedFields.length > 0 ? managedFields : ownedBeforeFirstApply(writer, leaves.before, time);
    const applied = ownedAfterApply(owned, writer, leaves, { force: options.force, time });
    const rest = removePaths(resource.type, merged, applied.removed);
    const { object } = readObject(resource, key, rest, options.fieldValidation);
    return { ...this.#replace(resource, live, object, writer, options, applied.entries), warnings: [] };
  }

  delete(resource: Resource, key: ObjectKey, options: DeleteOptions): { object: KubeObject; gone: boolean } {
    return deleteObject(this, resource, key, options);
  }

  /** System fields and defaults of a new object, and its name if it has none. */
  #complete(resource: Resource, given: KubeObject): KubeObject {
    const { generateName, name, uid: _uid, managedFields: _managed, ...meta } = given.metadata;
    const metadata: ObjectMeta = {
      name: name || (generateName === undefined ? "" : `${generateName.slice(0, 58)}${this.#parts.random.suffix()}`),
      ...(generateName !== undefined && { generateName }),
      ...meta,
      resourceVersion: "",
      uid: this.#parts.random.uuid(),
      creationTimestamp: this.now(),
      ...(resource.hasGeneration && { generation: 1 }),
    };
    const { deletionTimestamp: _at, deletionGracePeriodSeconds: _grace, ...fresh } = metadata;
    const { status: _status, ...spec } = given;
    const bare = resource.hasStatus ? spec : given;
    return withDefaults(resource, { ...bare, metadata: fresh } as KubeObject, this.#parts.defaults);
  }

  #insert(
    resource: Resource,
    completed: KubeObject,
    managedFields: ObjectMeta["managedFields"],
    dryRun: boolean,
  ): KubeObject {
    const object = { ...completed, metadata: { ...completed.metadata, managedFields: managedFields ?? [] } };
    if (resource.namespaced) this.#requireNamespace(objectKey(object).namespace, resource, object.metadata.name);
    validateObject(resource, object);
    admit(this, resource, object);
    if (this.store.get(resource.key, objectKey(object)) !== undefined) {
      throw alreadyExists(resource, object.metadata.name);
    }
    return dryRun ? object : this.store.put(resource.key, object);
  }

  #requireNamespace(namespace: string, resource: Resource, name: string): void {
    const namespaces = this.resources.byKey("namespaces");
    const found = this.store.get("namespaces", { namespace: "", name: namespace });
    if (found === undefined) throw notFound(namespaces, namespace);
    if (found.metadata.deletionTimestamp === undefined) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const { group, plural } = resource;
    const full = group === "" ? plural : `${plural}.${group}`;
    throw new ApiError(403, "Forbidden", `${full} "${name}" is forbidden: ${why}`, {
      name,
      group,
      kind: plural,
      causes: [
        {
          reason: "NamespaceTerminating",
          message: `namespace ${namespace} is being terminated`,
          field: "metadata.namespace",
        },
      ],
    });
  }

  /** @param applied ownership, when it has been decided already */
  #replace(
    resource: Resource,
    live: KubeObject,
    given: KubeObject,
    writer: Writer,
    options: WriteOptions,
    applied?: ObjectMeta["managedFields"],
  ): { object: KubeObject; created: false } {
    const { name } = live.metadata;
    const { uid, resourceVersion } = given.metadata;
    if (uid && uid !== live.metadata.uid) {
      throw conflict(
        resource,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${live.metadata.uid}`,
      );
    }
    if (resourceVersion && resourceVersion !== live.metadata.resourceVersion) throw conflict(resource, name, MODIFIED);
    const isStatus = options.subresource === "status";
    const next = afterUpdate(resource, live, given, isStatus, this.#parts.defaults);
    const withStatus = isStatus || !resource.hasStatus;
    const owned = live.metadata.managedFields ?? [];
    const entries =
      applied ??
      ownedAfterUpdate(
        // A subresource has no say in who owns what.
        options.subresource === "" ? ownedAsGiven(owned, given.metadata.managedFields) : owned,
        writer,
        leavesOf(resource.type, live, withStatus),
        leavesOf(resource.type, next, withStatus),
        this.now(),
      );
    const object = { ...next, metadata: { ...next.metadata, managedFields: entries } };
    if (isDeepStrictEqual(object, inVersion(resource, live))) return { object, created: false };
    validateObject(resource, object, live);
    admit(this, resource, object, live);
    if (options.dryRun) return { object, created: false };
    const isReleased =
      object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers ?? []).length === 0;
    if (isReleased && (object.metadata.deletionGracePeriodSeconds ?? 0) === 0 && resource.key !== "namespaces") {
      return { object: this.store.remove(resource.key, objectKey(live)) as KubeObject, created: false };
    }
    return { object: this.store.put(resource.key, object), created: false };
  }
}

function writerOf(
  resource: Resource,
  { fieldManager, subresource }: WriteOptions,
  operation: "Apply" | "Update",
): Writer {
  if (operation === "Apply" && fieldManager === "") throw methodNotAllowed();
  return { manager: fieldManager, operation, apiVersion: groupVersion(resource), subresource };
}
