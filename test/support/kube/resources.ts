import { customType } from "./schema/custom.ts";
import type { StructType, TypeLibrary } from "./schema/notation.ts";
import { type Fields, isFields, type KubeObject } from "./types.ts";

/** A kind of object that the server keeps. */
export interface Resource {
  /** Name of its table in the store: `pods`, `deployments.apps`. */
  readonly key: string;
  /** "" is the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  readonly type: StructType;
  /** Status is written through `/status` alone. */
  readonly hasStatus: boolean;
  readonly hasScale: boolean;
  /** Its spec is counted in `metadata.generation`. */
  readonly hasGeneration: boolean;
  /** PUT without a resourceVersion overwrites. */
  readonly unconditionalUpdate: boolean;
  /** PUT creates what is not there. */
  readonly createOnUpdate: boolean;
  readonly custom: boolean;
  /** What the encoder writes besides metadata for an empty object, as seen in bookmarks. */
  readonly shell: Fields;
  /** Of a custom kind, for tables. */
  readonly columns: readonly PrinterColumn[];
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  readonly jsonPath: string;
  readonly description?: string;
  readonly priority?: number;
}

export function groupVersion({ group, version }: Pick<Resource, "group" | "version">): string {
  return group === "" ? version : `${group}/${version}`;
}

interface Declaration {
  readonly kind: string;
  readonly plural: string;
  readonly group?: string;
  readonly version?: string;
  readonly shortNames?: readonly string[];
  readonly clusterWide?: true;
  readonly has?: readonly ("status" | "scale" | "generation")[];
  readonly strictUpdate?: true;
  readonly createOnUpdate?: true;
  readonly shell?: Fields;
}

const BUILT_IN: readonly Declaration[] = [
  {
    kind: "Pod",
    plural: "pods",
    shortNames: ["po"],
    has: ["status", "generation"],
    shell: { spec: { containers: null }, status: {} },
  },
  {
    kind: "Service",
    plural: "services",
    shortNames: ["svc"],
    has: ["status"],
    shell: { spec: {}, status: { loadBalancer: {} } },
  },
  { kind: "Secret", plural: "secrets" },
  { kind: "ConfigMap", plural: "configmaps", shortNames: ["cm"] },
  {
    kind: "Namespace",
    plural: "namespaces",
    shortNames: ["ns"],
    clusterWide: true,
    has: ["status"],
    shell: { spec: {}, status: {} },
  },
  {
    kind: "Node",
    plural: "nodes",
    shortNames: ["no"],
    clusterWide: true,
    has: ["status"],
    shell: { spec: {}, status: {} },
  },
  { kind: "Event", plural: "events", shortNames: ["ev"], createOnUpdate: true },
  { kind: "Endpoints", plural: "endpoints", shortNames: ["ep"], createOnUpdate: true },
  { kind: "ServiceAccount", plural: "serviceaccounts", shortNames: ["sa"] },
  {
    kind: "ResourceQuota",
    plural: "resourcequotas",
    shortNames: ["quota"],
    has: ["status"],
    shell: { spec: {}, status: {} },
  },
  {
    kind: "Deployment",
    plural: "deployments",
    group: "apps",
    shortNames: ["deploy"],
    has: ["status", "scale", "generation"],
    shell: {
      spec: { selector: null, template: { metadata: {}, spec: { containers: null } }, strategy: {} },
      status: {},
    },
  },
  {
    kind: "ReplicaSet",
    plural: "replicasets",
    group: "apps",
    shortNames: ["rs"],
    has: ["status", "scale", "generation"],
    shell: {
      spec: { selector: null, template: { metadata: {}, spec: { containers: null } } },
      status: { replicas: 0 },
    },
  },
  {
    kind: "EndpointSlice",
    plural: "endpointslices",
    group: "discovery.k8s.io",
    has: ["generation"],
    shell: { addressType: "", endpoints: null, ports: null },
  },
  {
    kind: "Lease",
    plural: "leases",
    group: "coordination.k8s.io",
    strictUpdate: true,
    createOnUpdate: true,
    shell: { spec: {} },
  },
  {
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    group: "apiextensions.k8s.io",
    shortNames: ["crd", "crds"],
    clusterWide: true,
    has: ["status", "generation"],
    strictUpdate: true,
  },
];

function builtIn(library: TypeLibrary, declaration: Declaration): Resource {
  const { kind, plural, group = "", version = "v1", shortNames = [], has = [], shell = {} } = declaration;
  return {
    key: resourceKey(group, plural),
    group,
    version,
    plural,
    singular: kind.toLowerCase(),
    kind,
    shortNames,
    namespaced: declaration.clusterWide !== true,
    type: library.struct(kind),
    hasStatus: has.includes("status"),
    hasScale: has.includes("scale"),
    hasGeneration: has.includes("generation"),
    unconditionalUpdate: declaration.strictUpdate !== true,
    createOnUpdate: declaration.createOnUpdate === true,
    custom: false,
    shell,
    columns: [],
  };
}

export function resourceKey(group: string, plural: string): string {
  return group === "" ? plural : `${plural}.${group}`;
}

/** Resources of a CustomResourceDefinition, one per served version; they share what they store. */
function customResources(library: TypeLibrary, definition: KubeObject): Resource[] {
  const spec = definition.spec as Fields;
  const names = spec.names as Fields;
  const versions = spec.versions as readonly Fields[];
  return versions
    .filter(({ served }) => served === true)
    .map((version) => {
      const subresources = isFields(version.subresources) ? version.subresources : {};
      const schema = isFields(version.schema) ? (version.schema.openAPIV3Schema as Fields | undefined) : undefined;
      const kind = names.kind as string;
      return {
        key: resourceKey(spec.group as string, names.plural as string),
        group: spec.group as string,
        version: version.name as string,
        plural: names.plural as string,
        singular: (names.singular as string | undefined) ?? kind.toLowerCase(),
        kind,
        shortNames: (names.shortNames ?? []) as readonly string[],
        namespaced: spec.scope === "Namespaced",
        type: customType(library, kind, schema),
        hasStatus: "status" in subresources,
        hasScale: false,
        hasGeneration: true,
        unconditionalUpdate: false,
        createOnUpdate: false,
        custom: true,
        shell: {},
        columns: (version.additionalPrinterColumns ?? []) as readonly PrinterColumn[],
      };
    });
}

/** All resources that can be asked for, at the moment. */
export class ResourceTable {
  readonly #library: TypeLibrary;
  readonly #builtIn: readonly Resource[];
  readonly #custom = new Map<string, readonly Resource[]>();

  constructor(library: TypeLibrary) {
    this.#library = library;
    this.#builtIn = BUILT_IN.map((declaration) => builtIn(library, declaration));
  }

  get all(): readonly Resource[] {
    return [...this.#builtIn, ...[...this.#custom.values()].flat()];
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.all.find((r) => r.plural === plural && r.group === group && r.version === version);
  }

  /** @param key as in the store; any version */
  byKey(key: string): Resource {
    const resource = this.all.find((candidate) => candidate.key === key);
    if (resource === undefined) throw new Error(`there is no resource ${key}`);
    return resource;
  }

  define(definition: KubeObject): void {
    this.#custom.set(definition.metadata.name, customResources(this.#library, definition));
  }

  undefine(name: string): void {
    this.#custom.delete(name);
  }
}
