import { z } from "zod";
import { maybe } from "../decode.ts";
import { secretRef } from "./secret-ref.ts";

/** How many of something one source or sink may name. */
export const MAX_NAMES = 100;

/** A text of one line, as names outside have it. */
export function lineOf(what: string, maxChars = 255) {
  const rule = `must be ${what}: 1 to ${maxChars} characters in one line`;
  return z
    .string({ error: rule })
    .min(1, { error: rule })
    .max(maxChars, { error: rule })
    .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), { error: rule });
}

/** A list of at least one, which may be written as the one. */
export function oneOrMore<T>(each: z.ZodType<T>, most = MAX_NAMES): z.ZodType<T[], unknown> {
  return z.preprocess(
    (value) => (value === undefined || Array.isArray(value) ? value : [value]),
    z
      .array(each, { error: "must be a list, or one of its entries" })
      .min(1, { error: "must have at least one entry" })
      .max(most, { error: `must have at most ${most} entries` }),
  );
}

export function wholeNumber(least: number, most: number) {
  const rule = `must be a whole number from ${least} to ${most}`;
  return z.number({ error: rule }).int({ error: rule }).min(least, { error: rule }).max(most, { error: rule });
}

export const trueOrFalse = z.boolean({ error: "must be true or false" });

export function choice<const T extends readonly string[]>(...of: T) {
  return z.enum(of as unknown as [T[number], ...T[number][]], { error: `must be one of ${of.join(", ")}` });
}

/** What a server is, and what it has to know; everything in PEM form. */
export const tlsSettings = z.strictObject(
  {
    /** Who has signed the server's certificate; the usual authorities when absent. */
    ca: maybe(secretRef),
    /** Ours, for servers that ask for one. */
    cert: maybe(secretRef),
    key: maybe(secretRef),
    /** The name that the server's certificate has, where it is another than the address. */
    serverName: maybe(lineOf("a host name", 253)),
  },
  { error: (issue) => (issue.code === "invalid_type" ? "must be {}, or name secrets as ca, cert and key" : undefined) },
);
export type TlsSettings = z.output<typeof tlsSettings>;

/** A user by name, and the secret that holds the password. */
export const loginSettings = {
  user: maybe(z.union([lineOf("a user"), secretRef], { error: "must be a user, or { secret: NAME }" })),
  password: maybe(secretRef),
};
export type LoginSettings = z.output<z.ZodObject<typeof loginSettings>>;

/** Where a server is, without who logs in: that is a secret's. */
export function serverUrl(...protocols: readonly string[]) {
  const rule = `must be a URL such as ${protocols[0]}://host:port, without user and password`;
  return z
    .string({ error: rule })
    .max(2048, { error: rule })
    .refine((text) => isServerUrl(text, protocols), { error: rule });
}

function isServerUrl(text: string, protocols: readonly string[]): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  return protocols.includes(protocol.slice(0, -1)) && hostname !== "" && username === "" && password === "";
}

/** `host:port` */
export const hostAndPort = z
  .string({ error: "must be host:port" })
  .max(300, { error: "must be host:port" })
  .regex(/^(\[[0-9a-fA-F:.]+\]|[-._a-zA-Z0-9]+):([1-9]\d{0,4})$/, { error: "must be host:port" })
  .refine((text) => Number(text.slice(text.lastIndexOf(":") + 1)) <= 65535, { error: "must be host:port" });

export const mediaType = lineOf("a media type such as application/json", 200).regex(/^[^\s/;]+\/[^\s/;]+\s*(;.*)?$/, {
  error: "must be a media type such as application/json",
});
