import { isMap, isSeq, parseDocument, type YAMLMap } from "yaml";
import { CliError } from "../errors.ts";

/** Credentials of one gateway as the configuration file keeps them. */
export interface StoredAuth {
  readonly gateway: string;
  /** `basic`, with `token` the base64 of `user:password`, or `oauth2`, with a bearer token. */
  readonly auth: string;
  readonly token: string;
}

/** @throws {CliError} when the file is not what `login` writes; nothing of its content is quoted */
export function parseCliConfig(text: string, file: string): StoredAuth[] {
  return entries(open(text, file), file).map((entry) => {
    const field = (name: string) => String(entry.get(name) ?? "");
    return { gateway: field("gateway"), auth: field("auth"), token: field("token") };
  });
}

/** The file's text with `auth` in place of what it held for that gateway; all else stays as it was. */
export function withAuth(text: string, file: string, auth: StoredAuth): string {
  const document = open(text, file);
  const known = entries(document, file).find((entry) => entry.get("gateway") === auth.gateway);
  if (known) for (const [key, value] of Object.entries(auth)) known.set(key, value);
  else if (isSeq(document.get("auths"))) document.addIn(["auths"], document.createNode(auth));
  else document.set("auths", document.createNode([auth]));
  return document.toString();
}

/** The file's text without the credentials of `gateway`; undefined when it has none. */
export function withoutAuth(text: string, file: string, gateway: string): string | undefined {
  const document = open(text, file);
  const index = entries(document, file).findIndex((entry) => entry.get("gateway") === gateway);
  if (index === -1) return undefined;
  document.deleteIn(["auths", index]);
  return document.toString();
}

function open(text: string, file: string) {
  const document = parseDocument(text, { schema: "failsafe", prettyErrors: false });
  const top = document.contents;
  if (document.errors.length > 0 || (top !== null && !isMap(top))) throw broken(file);
  return document;
}

function entries(document: ReturnType<typeof open>, file: string): YAMLMap[] {
  const auths = document.get("auths");
  if (!isSeq(auths)) return [];
  return auths.items.map((item) => {
    if (!isMap(item)) throw broken(file);
    return item as YAMLMap;
  });
}

function broken(file: string): CliError {
  return new CliError(`${file} is not a configuration file that login wrote; fix or remove it`);
}
