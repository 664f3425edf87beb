/** Kubernetes quantities as text, e.g. `128Mi` and `100m`. */
export interface StackResources {
  readonly memory?: string;
  readonly cpu?: string;
}

/** One entry of `functions`. Paths are as written: relative to the working directory, not to the stack file. */
export interface StackFunction {
  readonly name: string;
  /** Template folder, `name` or `name@ref`. Without one the function is not built. */
  readonly lang?: string;
  readonly handler?: string;
  readonly image?: string;
  readonly fprocess?: string;
  /** Inline values; those of `environmentFiles` win over them. */
  readonly environment: Readonly<Record<string, string>>;
  readonly environmentFiles: readonly string[];
  readonly secrets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly constraints: readonly string[];
  readonly limits: StackResources;
  readonly requests: StackResources;
  readonly readOnlyRootFilesystem: boolean;
  readonly namespace?: string;
  readonly skipBuild: boolean;
  readonly buildOptions: readonly string[];
  readonly buildArgs: Readonly<Record<string, string>>;
  /** Secret id → file. */
  readonly buildSecrets: Readonly<Record<string, string>>;
}

export interface TemplateSource {
  readonly name: string;
  readonly source?: string;
}

/** What may be declared beside functions. */
export const RESOURCE_KINDS = ["broker", "sink", "trigger", "flow", "source"] as const;
export type StackResourceKind = (typeof RESOURCE_KINDS)[number];

/** One entry of `brokers`, `sinks`, `triggers`, `flows` or `sources`. */
export interface StackResource {
  readonly kind: StackResourceKind;
  readonly name: string;
  readonly namespace?: string;
  /** As the gateway takes it. */
  readonly spec: Readonly<Record<string, unknown>>;
  /** Where it stands, as `file:line:column`, and where each of its fields does. */
  readonly place: string;
  readonly places: Readonly<Record<string, string>>;
}

/** A stack file, checked. */
export interface Stack {
  /** `provider.gateway` as written. */
  readonly gateway?: string;
  /** In the order of the file. */
  readonly functions: readonly StackFunction[];
  /** In the order in which they are declared. */
  readonly resources: readonly StackResource[];
  readonly templates: readonly TemplateSource[];
  /** Paths that go into every handler folder. */
  readonly copy: readonly string[];
}
