import { z } from "zod";
import { atMost, decode, maybe, stringMap } from "./decode.ts";
import { isDnsLabel } from "./names.ts";

const MAX_ENTRIES = 1_000;

const functionNamespace = z.object({
  name: z.string(),
  annotations: maybe(atMost(MAX_ENTRIES, stringMap)),
  labels: maybe(atMost(MAX_ENTRIES, stringMap)),
});
/** A namespace for functions. Those we create carry the label and annotation `openfaas: "1"`. */
export type FunctionNamespace = z.output<typeof functionNamespace>;

/** Whether `name` may name a namespace: a DNS label. */
export function isNamespaceName(name: string): boolean {
  return isDnsLabel(name);
}

/** @throws {FaasError} `invalid` */
export function decodeFunctionNamespace(value: unknown): FunctionNamespace {
  return decode(functionNamespace, value, "namespace");
}

/** `GET /system/namespaces`. @throws {FaasError} `invalid` */
export function decodeNamespaceList(value: unknown): string[] {
  return decode(z.array(z.string()), value, "namespace list");
}
