import { z } from "zod";
import { maybe } from "../decode.ts";
import { isDnsSubdomain } from "../names.ts";

const MAX_KEY_CHARS = 253;

/** A secret where it is declared: by name, never by value. */
export interface SecretRef {
  /** In the namespace of what declares it. */
  readonly secret: string;
  /** One of its keys, where it has several. */
  readonly key?: string | undefined;
}

/** `{ "secret": "NAME", "key": "KEY" }` */
export const secretRef: z.ZodType<SecretRef> = z.strictObject(
  {
    secret: z.string().refine(isDnsSubdomain, { error: "must be the name of a secret: a DNS subdomain" }),
    key: maybe(
      z
        .string()
        .regex(/^[-._a-zA-Z0-9]+$/, { error: "must be the key of a secret" })
        .max(MAX_KEY_CHARS),
    ),
  },
  { error: (issue) => (issue.code === "invalid_type" ? "must be a secret's name, as { secret: NAME }" : undefined) },
);
