import { z } from "zod";

/** What happens to rows. */
export type RowAction = "insert" | "update" | "delete";

const RULE =
  "must be TABLE:ACTION such as customer:insert or shop.customer:*, with insert, update, delete or * as its action";

/** Which changes of a table are wanted; the table with its schema, or without it for those of all schemas. */
export const tableFilter = z
  .string({ error: RULE })
  .max(200, { error: RULE })
  .regex(/^[^:\p{Cc}]+:(insert|update|delete|\*)$/u, { error: RULE });

/** Whether a change is wanted. Without filters every one is. */
export type WantsChange = (schema: string, table: string, action: RowAction) => boolean;

export function wantedBy(filters: readonly string[] | undefined): WantsChange {
  if (!filters) return () => true;
  const wanted = new Set(filters);
  return (schema, table, action) =>
    [table, `${schema}.${table}`].some((name) => wanted.has(`${name}:${action}`) || wanted.has(`${name}:*`));
}
