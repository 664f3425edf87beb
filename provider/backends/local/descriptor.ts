import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { decodeJson } from "../../../contract/decode.ts";
import { FaasError } from "../../../contract/errors.ts";

/** The file in the root of a build context that says how to build and run it without a container. */
export const DESCRIPTOR_FILE = "faaslane.json";

const program = z.string().regex(/^[\w.+-]+$/, "must be the name of a program, without a path");
const argument = z.string().regex(/^[^\0]*$/, "must not contain NUL");
const variable = z.string().regex(/^[^=\0]+$/, "must be the name of an environment variable");

// Strict, since nothing else would tell an author that `instal` is never run.
const descriptor = z.strictObject({
  requires: z.array(program).default([]),
  install: z.array(argument).min(1).optional(),
  env: z.record(variable, argument).default({}),
});
/**
 * `requires`: programs that have to be on PATH; `install`: command run once per build, in the unpacked context;
 * `env`: environment of every replica, as a Dockerfile's ENV.
 */
export type Descriptor = z.output<typeof descriptor>;

/** @throws {FaasError} `invalid` naming the field and its rule */
export function parseDescriptor(text: string): Descriptor {
  return decodeJson(descriptor, text, DESCRIPTOR_FILE);
}

/** The descriptor of the context in `folder`. @throws {FaasError} `invalid` when it is missing or malformed */
export async function readDescriptor(folder: string): Promise<Descriptor> {
  let text: string;
  try {
    text = await readFile(join(folder, DESCRIPTOR_FILE), "utf8");
  } catch (cause) {
    const why = `the build context has no readable ${DESCRIPTOR_FILE}; its template cannot run without a container`;
    throw new FaasError("invalid", why, { cause });
  }
  return parseDescriptor(text);
}
