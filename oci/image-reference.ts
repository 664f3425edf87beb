/** The registry of images that name none. */
export const DEFAULT_REGISTRY = "docker.io";

/** Where an image lies: `registry/repository:tag@digest`. */
export interface ImageReference {
  /** `host` or `host:port`, as written; {@link DEFAULT_REGISTRY} when absent. */
  readonly registry: string;
  readonly repository: string;
  /** `latest` when neither tag nor digest is given. */
  readonly tag: string | undefined;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string | undefined;
}

const HOST = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[\da-fA-F:]+\])(?::\d{1,5})?$/;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[a-f0-9]{64}$/;
/** Of a repository's name, as registries hold. */
const MAX_REPOSITORY = 255;

/**
 * Parses an image's name as Docker does: the first part is a registry when it looks like a host, and images of Docker Hub
 * without an owner are below `library/`.
 * @throws {Error} naming the rule that it breaks
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
 */
export function parseImageReference(text: string): ImageReference {
  const [named = "", digest, ...more] = text.split("@");
  if (more.length > 0 || (digest !== undefined && !DIGEST.test(digest))) {
    throw broken(text, "its digest must be sha256: and 64 hexadecimal digits");
  }
  const slash = named.indexOf("/");
  const first = slash < 0 ? "" : named.slice(0, slash);
  const isHost = first === "localhost" || /[.:]/.test(first) || first !== first.toLowerCase();
  const registry = isHost ? first : DEFAULT_REGISTRY;
  if (!HOST.test(registry)) throw broken(text, `"${registry}" is no host`);
  const { path, tag } = splitTag(isHost ? named.slice(slash + 1) : named);
  if (tag !== undefined && !TAG.test(tag)) {
    throw broken(text, "its tag must be at most 128 letters, digits, _, - and ., and begin with none of the last two");
  }
  if (!isRepositoryName(path)) {
    throw broken(text, "its path must be lower-case letters and digits, with ., _ or - between them, parted by /");
  }
  const isOfficial = registry === DEFAULT_REGISTRY && !path.includes("/");
  return {
    registry,
    repository: isOfficial ? `library/${path}` : path,
    tag: tag ?? (digest === undefined ? "latest" : undefined),
    digest,
  };
}

export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

export function isImageTag(text: string): boolean {
  return TAG.test(text);
}

/** Whether a registry may have a repository of that name. */
export function isRepositoryName(text: string): boolean {
  return text.length <= MAX_REPOSITORY && text.split("/").every((component) => COMPONENT.test(component));
}

/** The name in full, as {@link parseImageReference} reads it. */
export function formatImageReference({ registry, repository, tag, digest }: ImageReference): string {
  const suffix = `${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
  return `${registry}/${repository}${suffix}`;
}

function splitTag(text: string): { path: string; tag: string | undefined } {
  const colon = text.indexOf(":");
  return colon < 0 ? { path: text, tag: undefined } : { path: text.slice(0, colon), tag: text.slice(colon + 1) };
}

function broken(text: string, rule: string): Error {
  return new Error(`"${text.slice(0, 300)}" is no image name: ${rule}`);
}
