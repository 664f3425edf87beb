import { CliError } from "../errors.ts";
import { readStackResources } from "./resources.ts";
import { SubstitutionError, substitute } from "./substitute.ts";
import type { Stack, StackFunction, StackResources, TemplateSource } from "./types.ts";
import { readVersionFields } from "./version-settings.ts";
import { YamlReader, type YamlValue } from "./yaml-reader.ts";

/** Of one file; each is built and deployed on its own. */
const MAX_FUNCTIONS = 5_000;

export interface ParseOptions {
  /** How errors name the file. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether `${…}` is replaced; true unless given. */
  readonly envsubst?: boolean;
}

/**
 * Parses a stack file. Substitution happens on the raw text, comments and keys included; unknown keys are ignored.
 * @throws {CliError} beginning with `file:line:column` where there is one
 */
export function parseStack(text: string, { file, env, envsubst = true }: ParseOptions): Stack {
  const reader = new YamlReader(envsubst ? expand(text, file, env) : text, file);
  const top = reader.entries(reader.root);

  const version = top.get("version");
  const release = reader.text(version);
  if (version && release !== undefined && release !== "1.0") {
    reader.fail(version, `must be 1.0, not ${JSON.stringify(release)}`);
  }
  const providerValue = top.get("provider") ?? { node: null, path: "provider" };
  const provider = reader.entries(providerValue);
  const name = reader.text(provider.get("name"));
  if (name !== "openfaas") {
    const given = name ? `, not ${JSON.stringify(name)}` : "";
    reader.fail(provider.get("name") ?? providerValue, `the name must be openfaas${given}`);
  }

  const functionsValue = top.get("functions") ?? { node: null, path: "functions" };
  const entries = [...reader.entries(functionsValue)];
  if (entries.length > MAX_FUNCTIONS) reader.fail(functionsValue, `must be at most ${MAX_FUNCTIONS} functions`);
  const functions = entries.map(([functionName, value]) => parseFunction(reader, functionName, value));
  const configuration = reader.entries(top.get("configuration") ?? { node: null, path: "configuration" });
  return {
    ...given("gateway", reader.text(provider.get("gateway"))),
    functions,
    resources: readStackResources(reader, top),
    templates: parseTemplates(reader, configuration.get("templates")),
    copy: reader.texts(configuration.get("copy")),
  };
}

function expand(text: string, file: string, env: ParseOptions["env"]): string {
  try {
    return substitute(text, (name) => env[name]);
  } catch (error) {
    if (!(error instanceof SubstitutionError)) throw error;
    throw new CliError(`${file}:${error.line}:${error.column}: ${error.message}`, { cause: error });
  }
}

function parseFunction(reader: YamlReader, name: string, value: YamlValue): StackFunction {
  const fields = reader.entries(value);
  return {
    name,
    ...given("lang", reader.text(fields.get("lang"))),
    ...given("handler", reader.text(fields.get("handler"))),
    ...given("image", reader.text(fields.get("image"))),
    ...given("fprocess", reader.text(fields.get("fprocess"))),
    ...given("namespace", reader.text(fields.get("namespace"))),
    environment: reader.textMap(fields.get("environment")),
    environmentFiles: reader.texts(fields.get("environment_file")),
    secrets: reader.texts(fields.get("secrets")),
    labels: reader.textMap(fields.get("labels")),
    annotations: { ...reader.textMap(fields.get("annotations")), ...readVersionFields(reader, fields) },
    constraints: reader.texts(fields.get("constraints")),
    limits: parseResources(reader, fields.get("limits")),
    requests: parseResources(reader, fields.get("requests")),
    readOnlyRootFilesystem: reader.boolean(fields.get("readonly_root_filesystem")) ?? false,
    skipBuild: reader.boolean(fields.get("skip_build")) ?? false,
    buildOptions: reader.texts(fields.get("build_options")),
    buildArgs: reader.textMap(fields.get("build_args")),
    buildSecrets: reader.textMap(fields.get("build_secrets")),
  };
}

function parseResources(reader: YamlReader, value: YamlValue | undefined): StackResources {
  const fields = value === undefined ? new Map<string, YamlValue>() : reader.entries(value);
  return {
    ...given("memory", reader.text(fields.get("memory"))),
    ...given("cpu", reader.text(fields.get("cpu"))),
  };
}

function parseTemplates(reader: YamlReader, value: YamlValue | undefined): TemplateSource[] {
  if (value === undefined) return [];
  return reader.items(value).map((item) => {
    const fields = reader.entries(item);
    const name = reader.text(fields.get("name")) ?? reader.fail(item, "the name is missing");
    return { name, ...given("source", reader.text(fields.get("source"))) };
  });
}

/** A property only when there is something to say: empty text means absent, as in Go. */
function given<K extends string>(key: K, text: string | undefined): { [P in K]?: string } {
  return text === undefined || text === "" ? {} : ({ [key]: text } as { [P in K]: string });
}
