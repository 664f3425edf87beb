import { z } from "zod";
import { decode, maybe, stringMap } from "./decode.ts";

const functionNamespace = z.object({
  name: z.string(),
  annotations: maybe(stringMap),
  labels: maybe(stringMap),
});
/** A namespace for functions. Those we create carry the label and annotation `openfaas: "1"`. */
export type FunctionNamespace = z.output<typeof functionNamespace>;

/** @throws {FaasError} `invalid` */
export function decodeFunctionNamespace(value: unknown): FunctionNamespace {
  return decode(functionNamespace, value, "namespace");
}

/** `GET /system/namespaces`. @throws {FaasError} `invalid` */
export function decodeNamespaceList(value: unknown): string[] {
  return decode(z.array(z.string()), value, "namespace list");
}
