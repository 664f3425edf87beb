import { z } from "zod";
import { decodeJson } from "./decode.ts";

/** The file in the root of a build context that says how to build and run it without a container engine. */
export const DESCRIPTOR_FILE = "faaslane.json";

const program = z.string().regex(/^[\w.+-]+$/, "must be the name of a program, without a path");
const argument = z.string().regex(/^[^\0]*$/, "must not contain NUL");
const variable = z.string().regex(/^[^=\0]+$/, "must be the name of an environment variable");
const pathInside = z
  .string()
  .regex(/^(?!\.{1,2}(?:\/|$))[^/\0]+(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)*$/, "must be a path inside of the context");

/** How the context becomes an image: files on top of a base, without a step of its Dockerfile. */
const image = z.strictObject({
  base: z.string().min(1),
  baseArg: variable.optional(),
  dependencies: z.array(pathInside).default([]),
  watchdog: z.enum(["script", "executable"]).default("script"),
  fromBase: z.array(variable).default([]),
});
/**
 * `base`: the image that has what the function needs to run; `baseArg`: the build argument that names another one;
 * `dependencies`: paths that change seldom, each of which gets a layer of its own; `watchdog`: a `script` for the base's
 * Node, or an `executable` for bases without one; `fromBase`: variables of the base that the install step gets to see.
 */
export type ImageRecipe = z.output<typeof image>;

// Strict, since nothing else would tell an author that `instal` is never run.
const descriptor = z.strictObject({
  requires: z.array(program).default([]),
  install: z.array(argument).min(1).optional(),
  env: z.record(variable, argument).default({}),
  image: image.optional(),
});
/**
 * `requires`: programs that have to be on PATH; `install`: command run once per build, in the unpacked context;
 * `env`: environment of every replica, as a Dockerfile's ENV; `image`: for images that are built without an engine.
 */
export type Descriptor = z.output<typeof descriptor>;

/** @throws {FaasError} `invalid` naming the field and its rule */
export function parseDescriptor(text: string): Descriptor {
  return decodeJson(descriptor, text, DESCRIPTOR_FILE);
}
