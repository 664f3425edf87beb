/** The parts of a request that carry `value` as JSON, with the type that control routes ask for. */
export function jsonBody(value: unknown): { headers: Record<string, string>; body: string } {
  return { headers: { "content-type": "application/json" }, body: JSON.stringify(value) };
}
