import { CliError } from "../errors.ts";

export const TAG_MODES = ["latest", "sha", "branch", "describe", "digest"] as const;
export type TagMode = (typeof TAG_MODES)[number];

/** What a tag may be made of; each is asked only when the mode needs it. */
export interface TagFacts {
  /** Short hash of HEAD. @throws outside a repository */
  sha(): Promise<string>;
  branch(): Promise<string>;
  /** `git describe --tags --always`. */
  describe(): Promise<string>;
  /** Hex digest of the handler's files. */
  digest(): Promise<string>;
}

/** @throws {CliError} for an unknown mode; `default` is another name of `latest` */
export function parseTagMode(text: string): TagMode {
  const mode = text === "" || text === "default" ? "latest" : TAG_MODES.find((known) => known === text);
  if (!mode) throw new CliError(`--tag must be one of ${TAG_MODES.join(", ")}, not ${JSON.stringify(text)}`);
  return mode;
}

/** The image reference that a function is built and deployed as. One with a digest is what it is. */
export async function tagImage(image: string, mode: TagMode, facts: TagFacts): Promise<string> {
  if (image.includes("@")) return image;
  const base = hasTag(image) ? image : `${image}:latest`;
  switch (mode) {
    case "latest":
      return base;
    case "sha":
      return `${base}-${await facts.sha()}`;
    case "branch":
      return `${base}-${tagText(await facts.branch())}-${await facts.sha()}`;
    case "describe":
      return `${base}-${tagText(await facts.describe())}`;
    case "digest":
      return `${base.slice(0, base.lastIndexOf(":"))}:${await facts.digest()}`;
  }
}

/** A colon before the last slash belongs to a registry's port; one after `@` to a digest, which is a tag already. */
function hasTag(image: string): boolean {
  return image.slice(image.lastIndexOf("/") + 1).includes(":");
}

/** Branches may hold characters, `/` above all, that tags may not. */
function tagText(text: string): string {
  return text.replace(/[^\w.-]/g, "-");
}
