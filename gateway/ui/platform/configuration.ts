import { redactText } from "../../../contract/redaction.ts";
import type { UiConfiguration } from "../../../contract/ui/platform.ts";

/** Names of variables whose values are credentials as a whole; paths of files with some are none. */
const SECRET = /(headers|password|passphrase|secret|token|credentials?|key)$/i;
const MAX_CHARS = 1_000;

/** The configuration in force, without secrets. @param seen as the loaders of the configuration have read it */
export function buildConfiguration(
  seen: readonly { readonly name: string; readonly text?: string }[],
): UiConfiguration {
  const variables = seen.map(({ name, text }) => ({
    name,
    isSet: text !== undefined,
    ...(text !== undefined && !SECRET.test(name) && { value: redactText(text).slice(0, MAX_CHARS) }),
  }));
  return { variables: variables.sort((one, other) => (one.name < other.name ? -1 : 1)) };
}
