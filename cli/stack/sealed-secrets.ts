import { stringify } from "yaml";
import { CliError } from "../errors.ts";
import { YamlReader } from "./yaml-reader.ts";

/** Secrets of a build that only the builder can read. */
export interface SealedSecrets {
  /** Beginning of the builder's public key, by which it is told from others. */
  readonly keyId: string;
  /** Base64: the key that they were sealed with, made for them alone. */
  readonly publicKey: string;
  /** Name → base64 of nonce and box. */
  readonly secrets: Readonly<Record<string, string>>;
}

const ALGORITHM = "nacl/box";

export function formatSealedSecrets({ keyId, publicKey, secrets }: SealedSecrets): string {
  return stringify(
    { version: "v1", algorithm: ALGORITHM, key_id: keyId, public_key: publicKey, secrets },
    { lineWidth: 0 },
  );
}

/** @throws {CliError} for what is no such file, or of another kind */
export function parseSealedSecrets(text: string, file: string): SealedSecrets {
  const reader = new YamlReader(text, file);
  const top = reader.entries(reader.root);
  const field = (name: string) => reader.text(top.get(name)) ?? "";
  if (field("version") !== "v1" || field("algorithm") !== ALGORITHM) {
    throw new CliError(`${file}: must have version v1 and algorithm ${ALGORITHM}`);
  }
  return { keyId: field("key_id"), publicKey: field("public_key"), secrets: reader.textMap(top.get("secrets")) };
}
