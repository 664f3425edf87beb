import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
  type YAMLParseError,
} from "yaml";
import { CliError } from "../errors.ts";
import { surveyDocument } from "./yaml-survey.ts";

/** A value of a document together with how to name it in an error: its path from the top, e.g. `functions.a.image`. */
export interface YamlValue {
  readonly node: Node | null;
  readonly path: string;
}

/** Of a text, far above any stack file; reading takes time in proportion. */
const MAX_CHARS = 1024 ** 2;
const MAX_JSON_DEPTH = 50;
/** Entries of mappings and lists that a document may come to. */
const MAX_ENTRIES = 300_000;

/** YAML 1.1 words too: the format's own tools take them where a boolean is wanted. */
const TRUE = /^(true|True|TRUE|y|Y|yes|Yes|YES|on|On|ON)$/;
const FALSE = /^(false|False|FALSE|n|N|no|No|NO|off|Off|OFF)$/;
const NULL = /^(|~|null|Null|NULL)$/;

/**
 * Reads a document by the types wanted of it. Scalars keep their source text (`1.10`, `0755`, `on`), because a stack
 * file has no numbers. Null counts as absent. Errors are {@link CliError}s that begin with `file:line:column`.
 */
export class YamlReader {
  readonly root: YamlValue;
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #aliases: ReadonlyMap<Alias, Node | undefined>;
  readonly #merging = new Set<YAMLMap>();
  /** Entries that have been read so far, those of an alias each time anew. */
  #read = 0;

  /** @throws {CliError} for what is not YAML, and for a mapping with the same key twice */
  constructor(text: string, file: string) {
    this.#file = file;
    if (text.length > MAX_CHARS) throw new CliError(`${file}: is larger than ${MAX_CHARS / 1024 ** 2} MiB`);
    const document = parseDocument(text, {
      schema: "failsafe",
      // Its search compares each key with all before it; `surveyDocument` looks them up.
      uniqueKeys: false,
      prettyErrors: false,
      lineCounter: this.#lines,
    });
    const [error] = document.errors;
    if (error) throw new CliError(`${this.#position(error.pos[0])}: ${explain(error)}`, { cause: error });
    const { aliases, repeated } = surveyDocument(document);
    if (repeated) {
      const where = this.#position(repeated.offset);
      throw new CliError(`${where}: the key ${repeated.key} appears twice in one mapping`);
    }
    this.#aliases = aliases;
    this.root = { node: document.contents, path: "" };
  }

  /** The entries of a mapping in their order; none when absent. Anchors and `<<` are resolved. */
  entries(value: YamlValue): Map<string, YamlValue> {
    const node = this.#resolve(value);
    if (node === null) return new Map();
    if (!isMap(node)) return this.fail(value, "must be a mapping");
    this.#charge(node.items.length, value);
    return this.#entriesOf(node as YAMLMap, value);
  }

  items(value: YamlValue): YamlValue[] {
    const node = this.#resolve(value);
    if (node === null) return [];
    if (!isSeq(node)) return this.fail(value, "must be a list");
    this.#charge(node.items.length, value);
    return node.items.map((item, index) => ({ node: item as Node | null, path: `${value.path}[${index}]` }));
  }

  /** The source text of a scalar; undefined when absent. */
  text(value: YamlValue | undefined): string | undefined {
    const node = value === undefined ? null : this.#resolve(value);
    if (value === undefined || node === null) return undefined;
    if (!isScalar(node)) return this.fail(value, "must be text");
    return String(node.value);
  }

  /** Whether it is a scalar that says something. */
  isText(value: YamlValue): boolean {
    return isScalar(this.#resolve(value));
  }

  boolean(value: YamlValue | undefined): boolean | undefined {
    const text = this.text(value);
    if (value === undefined || text === undefined) return undefined;
    if (TRUE.test(text)) return true;
    return FALSE.test(text) ? false : this.fail(value, "must be true or false");
  }

  texts(value: YamlValue | undefined): string[] {
    return value === undefined ? [] : this.items(value).map((item) => this.text(item) ?? "");
  }

  /**
   * All of a value as JSON has it, by the types of YAML's core schema: plain words such as `1`, `true` and `null` are a number, a
   * boolean and null, everything in quotes is text.
   */
  json(value: YamlValue, depth = 0): unknown {
    if (depth > MAX_JSON_DEPTH) return this.fail(value, `is nested more than ${MAX_JSON_DEPTH} levels deep`);
    const node = this.#resolve(value);
    if (node === null) return null;
    if (isSeq(node)) return this.items(value).map((item) => this.json(item, depth + 1));
    if (isMap(node)) {
      return Object.fromEntries([...this.entries(value)].map(([key, entry]) => [key, this.json(entry, depth + 1)]));
    }
    const text = this.text(value) ?? "";
    return isScalar(node) && node.type === "PLAIN" && node.tag === undefined ? plainValue(text) : text;
  }

  textMap(value: YamlValue | undefined): Record<string, string> {
    if (value === undefined) return {};
    return Object.fromEntries([...this.entries(value)].map(([key, entry]) => [key, this.text(entry) ?? ""]));
  }

  fail(value: YamlValue, why: string): never {
    throw new CliError(`${this.place(value)}: ${value.path === "" ? "the document" : value.path}: ${why}`);
  }

  /** `file:line:column` of a value; the file alone for one that is not there. */
  place(value: YamlValue): string {
    const offset = value.node?.range?.[0];
    return offset === undefined ? this.#file : this.#position(offset);
  }

  /** Aliases and merges can stand for far more than the text that they are written with. */
  #charge(entries: number, value: YamlValue): void {
    this.#read += entries + 1;
    if (this.#read > MAX_ENTRIES) this.fail(value, `there are more than ${MAX_ENTRIES} entries, aliases resolved`);
  }

  #position(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${this.#file}:${line}:${col}`;
  }

  /** Follows an alias; null for every spelling of null. */
  #resolve(value: YamlValue): Node | null {
    let node = value.node;
    if (isAlias(node)) {
      node = this.#aliases.get(node as Alias) ?? this.fail(value, `nothing is anchored as ${node.source}`);
    }
    if (node === null || node === undefined) return null;
    const untagged = node.tag === undefined || node.tag === "tag:yaml.org,2002:null";
    if (isScalar(node) && node.type === "PLAIN" && untagged && NULL.test(String(node.value ?? ""))) return null;
    return node;
  }

  #entriesOf(map: YAMLMap, value: YamlValue): Map<string, YamlValue> {
    if (this.#merging.has(map)) return this.fail(value, "merges itself");
    this.#merging.add(map);
    const own = new Map<string, YamlValue>();
    const merged = new Map<string, YamlValue>();
    for (const { key, value: entry } of map.items) {
      const keyNode = { node: key as Node | null, path: `${value.path} key` };
      const name = this.text(keyNode) ?? "";
      const child = { node: entry as Node | null, path: value.path === "" ? name : `${value.path}.${name}` };
      if (name === "<<" && isScalar(key) && key.type === "PLAIN") this.#merge(child, value.path, merged);
      else own.set(name, child.node === null ? { node: null, path: child.path } : child);
    }
    this.#merging.delete(map);
    for (const [name, child] of merged) if (!own.has(name)) own.set(name, child);
    return own;
  }

  /** What `<<` brings in: one mapping or a list of them, of which the earlier wins. */
  #merge(source: YamlValue, path: string, into: Map<string, YamlValue>): void {
    const node = this.#resolve(source);
    const maps = isSeq(node) ? this.items(source) : [source];
    for (const { node: map } of maps) {
      for (const [name, child] of this.entries({ node: map, path })) if (!into.has(name)) into.set(name, child);
    }
  }
}

/** @see https://yaml.org/spec/1.2.2/#103-core-schema */
function plainValue(text: string): string | number | boolean {
  if (/^(true|True|TRUE)$/.test(text)) return true;
  if (/^(false|False|FALSE)$/.test(text)) return false;
  return /^[-+]?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(text) ? Number(text) : text;
}

function explain({ code, message }: YAMLParseError): string {
  if (code === "MULTIPLE_DOCS") return "must hold one document only";
  return code === "RESOURCE_EXHAUSTION" ? "is nested too deep" : message;
}
