import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DESCRIPTOR_FILE, type Descriptor, parseDescriptor } from "../contract/descriptor.ts";
import { FaasError } from "../contract/errors.ts";

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
