import { existsSync } from "node:fs";
import { join } from "node:path";
import { DESCRIPTOR_FILE } from "../../../contract/descriptor.ts";
import { readDescriptor } from "../../../kit/read-descriptor.ts";

/** Whether a context tells how to make an image of it without running its Dockerfile. @throws {FaasError} `invalid` */
export async function hasRecipe(context: string): Promise<boolean> {
  if (!existsSync(join(context, DESCRIPTOR_FILE))) return false;
  return (await readDescriptor(context)).image !== undefined || !existsSync(join(context, "Dockerfile"));
}
