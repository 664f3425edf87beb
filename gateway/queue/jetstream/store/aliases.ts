import { hash } from "node:crypto";
import type { FunctionRef } from "../../../../contract/functions.ts";
import { readMessage } from "../../../nats/stored-message.ts";
import { aliasSubject, memberSubject, STREAMS } from "../client/names.ts";
import type { Context } from "./context.ts";

/**
 * Names that lead to the id of a call: what a caller calls it, an idempotency key, the place in a batch. That of a
 * server leads to when it was first seen.
 */
export type Alias =
  | { readonly kind: "call"; readonly callId: string }
  | { readonly kind: "key"; readonly function: FunctionRef; readonly key: string }
  | { readonly kind: "member"; readonly of: string; readonly index: number }
  | { readonly kind: "server"; readonly id: string };

export async function readAlias(context: Pick<Context, "link">, alias: Alias): Promise<string | undefined> {
  return (await readKeyAlias(context, alias))?.id;
}

/** What an idempotency key leads to. */
export interface KeyedCall {
  readonly id: string;
  /** Of the request that the key stands for; absent for those of an earlier release. */
  readonly print?: string;
}

export async function readKeyAlias({ link }: Pick<Context, "link">, alias: Alias): Promise<KeyedCall | undefined> {
  const { stream, subject } = placeOf(alias);
  const message = await readMessage(link, stream, { last_by_subj: subject });
  if (!message) return undefined;
  const print = PRINT.exec(message.headers)?.[1];
  return { id: message.data.toString(), ...(print !== undefined && { print }) };
}

/**
 * The last one counts.
 * @param print for a key: of the request that it stands for
 * @throws as {@link Context.publisher} does
 */
export async function writeAlias(
  { publisher }: Pick<Context, "publisher">,
  alias: Alias,
  to: string,
  print?: string,
): Promise<void> {
  // In a header, so that a process of an earlier release reads the id all the same.
  const headers = print === undefined ? undefined : ([[PRINT_HEADER, print]] as const);
  await publisher.publish(placeOf(alias).subject, Buffer.from(to), { ...(headers && { headers }) });
}

const PRINT_HEADER = "Faaslane-Print";
const PRINT = /^Faaslane-Print: ?([\w-]{1,64})\r?$/m;

/** For the stream's window of duplicates. */
export function messageIdOf(alias: Alias): string {
  return placeOf(alias).subject;
}

function placeOf(alias: Alias): { readonly stream: string; readonly subject: string } {
  switch (alias.kind) {
    case "call":
      return { stream: STREAMS.aliases, subject: aliasSubject("call", digest(alias.callId)) };
    case "key": {
      const { namespace, name } = alias.function;
      return { stream: STREAMS.aliases, subject: aliasSubject("key", digest(`${namespace}/${name}/${alias.key}`)) };
    }
    case "server":
      return { stream: STREAMS.aliases, subject: aliasSubject("server", digest(alias.id)) };
    case "member":
      return { stream: STREAMS.members, subject: memberSubject(alias.of, alias.index) };
  }
}

/** Callers' texts can hold anything; a subject cannot. */
function digest(text: string): string {
  return hash("sha256", text).slice(0, 40);
}
