/** Calls that one replica takes at a time, as `max_inflight` of a function's environment says; undefined for no limit. */
export function readMaxInflight({ max_inflight: text = "" }: Readonly<Record<string, string>>): number | undefined {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
}
