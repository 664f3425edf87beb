import { readFileSync } from "node:fs";

export type Scalar =
  | "string"
  | "int32"
  | "int64"
  | "number"
  | "bool"
  | "quantity"
  | "time"
  | "intstr"
  | "bytes"
  | "any";

/** Shape of a value. */
export type TypeRef =
  | { readonly kind: "scalar"; readonly scalar: Scalar; readonly choices?: readonly string[] }
  | { readonly kind: "map"; readonly of: TypeRef; readonly atomic: boolean }
  | ListType
  | StructType;

export interface ListType {
  readonly kind: "list";
  readonly of: TypeRef;
  /** What tells items apart when several managers own the list: fields of theirs, or the item itself in a set. */
  readonly keys: readonly string[] | "set" | undefined;
  /** The field that a strategic merge patch pairs items by; undefined replaces the list. */
  readonly mergeKey: string | undefined;
}

export interface StructType {
  readonly kind: "struct";
  readonly name: string;
  readonly atomic: boolean;
  /** Unknown fields are kept, as `x-kubernetes-preserve-unknown-fields` asks. */
  readonly open: boolean;
  field(name: string): StructField | undefined;
  readonly required: readonly string[];
  /** Values of absent fields, as a custom resource may declare them. */
  readonly fallbacks: readonly (readonly [field: string, value: unknown])[];
}

export interface StructField {
  readonly type: TypeRef;
}

type Notations = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The types of the file that `generate.ts` writes, each parsed when it is first asked for. */
export class TypeLibrary {
  readonly #notations: Notations;
  readonly #structs = new Map<string, StructType>();

  constructor(notations: Notations) {
    this.#notations = notations;
  }

  static load(): TypeLibrary {
    return new TypeLibrary(JSON.parse(readFileSync(new URL("types.json", import.meta.url), "utf8")) as Notations);
  }

  struct(name: string): StructType {
    const known = this.#structs.get(name);
    if (known !== undefined) return known;
    const fields = this.#notations[name];
    if (fields === undefined) throw new Error(`no type is called ${name}`);
    const parsed = new Map<string, StructField | undefined>();
    const struct: StructType = {
      kind: "struct",
      name,
      atomic: fields["="] === "atomic",
      open: false,
      fallbacks: [],
      required: Object.keys(fields).filter((field) => fields[field]?.endsWith("!")),
      field: (field) => {
        if (!parsed.has(field)) {
          const notation = field !== "=" && Object.hasOwn(fields, field) ? fields[field] : undefined;
          parsed.set(field, notation === undefined ? undefined : { type: this.#parse(notation.replace(/!$/, "")) });
        }
        return parsed.get(field);
      },
    };
    this.#structs.set(name, struct);
    return struct;
  }

  #parse(notation: string): TypeRef {
    const list = /^(.*)\[([^/\]]*)\/([^\]]*)\]$/.exec(notation);
    if (list !== null) {
      const [, of, keys, mergeKey] = list as unknown as [string, string, string, string];
      return {
        kind: "list",
        of: this.#parse(of),
        keys: keys === "" ? undefined : keys === "set" ? "set" : keys.split(","),
        mergeKey: mergeKey === "" ? undefined : mergeKey,
      };
    }
    const map = /^(.*)\{(=?)\}$/.exec(notation);
    if (map !== null) return { kind: "map", of: this.#parse(map[1] as string), atomic: map[2] === "=" };
    const choices = /^string\((.*)\)$/.exec(notation);
    if (choices !== null) return { kind: "scalar", scalar: "string", choices: (choices[1] as string).split("|") };
    if (/^[a-z]/.test(notation)) return { kind: "scalar", scalar: notation as Scalar };
    return this.struct(notation.replace(/=$/, ""));
  }
}
