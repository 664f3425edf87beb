import { CliError } from "../errors.ts";

/** Where templates come from: a Git repository or a folder, at a branch, a tag or a commit. */
export interface TemplateRepository {
  /** As written, without its `#ref`. */
  readonly location: string;
  /** Whether it is a path of this machine. */
  readonly local: boolean;
  readonly ref: RepositoryRef | undefined;
}

export interface RepositoryRef {
  /** As written behind `#`. */
  readonly name: string;
  /** The commit, where it is one: `sha-` and 7 to 40 digits. */
  readonly commit: string | undefined;
}

/** Others run programs (`ext::`, `fd::`) or are unencrypted beyond need. */
const SCHEMES = new Set(["https:", "http:", "ssh:", "git:", "file:"]);
const SCP = /^[\w.-]+@[\w.-]+:(?!:)/;
const REF = /^(?!-)(?!.*\.\.)[\w./@+-]{1,250}$/;

/**
 * Parses `URL[#ref]`, `user@host:path[#ref]` or `path[#ref]`.
 * @throws {CliError} for what git would take for an option, or for a program to run
 */
export function parseTemplateSource(text: string): TemplateRepository {
  const mark = text.indexOf("#");
  const location = mark === -1 ? text : text.slice(0, mark);
  const name = mark === -1 ? "" : text.slice(mark + 1);
  const refuse = (why: string): never => {
    throw new CliError(`template repository ${JSON.stringify(text)}: ${why}`);
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (location === "" || /[\u0000-\u001f\u007f]/.test(location)) refuse("must be a URL or a folder");
  if (location.startsWith("-")) refuse("must not begin with a dash");
  if (/^[\w+.-]*::/.test(location)) refuse("must be an https, ssh or file URL, or a folder");
  if (name !== "" && !REF.test(name)) refuse("what follows # must be the name of a branch, a tag or sha- and a commit");
  const ref = name === "" ? undefined : { name, commit: /^sha-([0-9a-f]{7,40})$/i.exec(name)?.[1] };

  const scheme = /^([a-z][a-z0-9+.-]*:)\/\//i.exec(location)?.[1]?.toLowerCase();
  if (scheme === undefined) return { location, local: !SCP.test(location), ref };
  if (!SCHEMES.has(scheme)) refuse("must be an https, ssh or file URL, or a folder");
  const url = URL.parse(location) ?? refuse("is no URL");
  // ssh takes a host that begins with a dash for one of its options.
  if (url.hostname.startsWith("-") || decodeURIComponent(url.username).startsWith("-")) refuse("has no usable host");
  return { location, local: false, ref };
}

/** The same without a password, for messages and for what is written down. */
export function withoutPassword(location: string): string {
  return location.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, "$1");
}
