import { redactCallback, redactText, redactValue } from "../../contract/redaction.ts";

interface Shown {
  readonly path: string;
  readonly query: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly callbackUrl?: string;
}

/**
 * A request as it may be shown to people who look after the platform: without what its caller, or the receiver of its
 * callback, is known by. Names tell what that is, so that a secret under a harmless name stays.
 */
export function redactRequest<T extends Shown>(request: T): T {
  const { path, query, headers, callbackUrl } = request;
  return {
    ...request,
    path: redactText(path),
    query: redactText(query),
    headers: headers.map(([name, value]) => [name, redactValue(name, value)] as const),
    ...(callbackUrl !== undefined && { callbackUrl: redactCallback(callbackUrl) }),
  };
}
