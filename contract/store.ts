import { z } from "zod";
import { atMost, decodeJson, maybe, stringMap } from "./decode.ts";

/** The documents that OpenFaaS's stores of templates and of functions are. */
const MAX_ENTRIES = 10_000;

const template = z.object({
  template: z.string().min(1),
  platform: maybe(z.string()),
  language: maybe(z.string()),
  source: maybe(z.string()),
  description: maybe(z.string()),
  /** Of Git, with `#ref` if it is pinned. */
  repo: z.string().min(1),
  /** A text in the documents that there are. */
  official: maybe(z.union([z.string(), z.boolean()])),
  recommended: maybe(z.boolean()),
});

const fn = z.object({
  name: z.string().min(1),
  title: maybe(z.string()),
  description: maybe(z.string()),
  author: maybe(z.string()),
  icon: maybe(z.string()),
  repo_url: maybe(z.string()),
  /** Architecture, as `x86_64`, `arm64` or `armhf`, → image. */
  images: atMost(100, stringMap),
  fprocess: maybe(z.string()),
  environment: maybe(stringMap),
  labels: maybe(stringMap),
  annotations: maybe(stringMap),
  readOnlyRootFilesystem: maybe(z.boolean()),
  /** Ours: a handler beside the document, which is built where there is no image to be had. */
  source: maybe(z.object({ lang: z.string().min(1), handler: z.string().min(1) })),
});

const functions = z.object({ version: maybe(z.string()), functions: atMost(MAX_ENTRIES, z.array(fn)) });

/** A template of a store. */
export type StoredTemplate = z.output<typeof template>;
/** A function of a store. */
export type StoreFunction = z.output<typeof fn>;

/** @throws {FaasError} `invalid` */
export function decodeTemplateStore(text: string, prefix: string): StoredTemplate[] {
  return decodeJson(atMost(MAX_ENTRIES, z.array(template)), text, prefix);
}

/** @throws {FaasError} `invalid` */
export function decodeFunctionStore(text: string, prefix: string): StoreFunction[] {
  return decodeJson(functions, text, prefix).functions;
}
