import { FaasError } from "../../../contract/errors.ts";

const MAX_LENGTH = 255;
const COMPONENT = "[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*";
const IMAGE = new RegExp(`^${COMPONENT}(?::\\d+(?=/))?(?:/${COMPONENT})*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$`);

/**
 * Checks the name that a build gives its image: `[host[:port]/]path[:tag]`.
 * @throws {FaasError} `invalid`
 */
export function checkImageName(image: string): void {
  if (image.length > MAX_LENGTH || !IMAGE.test(image)) {
    const shown = JSON.stringify(image.slice(0, 100));
    throw new FaasError("invalid", `config: image: ${shown} must be [host[:port]/]path[:tag], without a digest`);
  }
}

/** @throws {FaasError} `invalid` naming the build argument that cannot be an environment variable */
export function checkBuildArgs(buildArgs: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(buildArgs)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || value.includes("\0")) {
      const shown = JSON.stringify(name.slice(0, 100));
      throw new FaasError("invalid", `config: buildArgs: ${shown} must be a variable's name and a text without NUL`);
    }
  }
}
