import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CertificatePair } from "../../kit/certificates.ts";

export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  // The shortest form, without which strict readers refuse it.
  const long = body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255];
  const length = body.length < 128 ? [body.length] : long;
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts);
const text = (tag: number, value: string) => der(tag, Buffer.from(value));
const utcTime = (ms: number) => text(0x17, `${new Date(ms).toISOString().slice(2, 19).replace(/[-:T]/g, "")}Z`);
const COMMON_NAME = Buffer.from("0603550403", "hex");
const SUBJECT_ALT_NAME = Buffer.from("0603551d11", "hex");
const SIGNED_WITH = {
  ec: Buffer.from("300a06082a8648ce3d040302", "hex"),
  rsa: Buffer.from("300d06092a864886f70d01010b0500", "hex"),
} as const;
const pem = (bytes: Buffer) =>
  `-----BEGIN CERTIFICATE-----\n${bytes.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;

/**
 * A certificate that has signed itself.
 * @param subject its common name
 * @param hosts of the subject's alternative names; none leaves them out
 */
export function makeCertificate(
  subject: string,
  hosts: readonly string[] = [],
  validMs = 3600e3,
  kind: keyof typeof SIGNED_WITH = "ec",
): TestCertificate {
  const { publicKey, privateKey } =
    kind === "ec"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : generateKeyPairSync("rsa", { modulusLength: 2048 });
  const algorithm = SIGNED_WITH[kind];
  const name = sequence(der(0x31, sequence(COMMON_NAME, text(0x0c, subject))));
  const altNames = sequence(SUBJECT_ALT_NAME, der(0x04, sequence(...hosts.map((host) => text(0x82, host)))));
  const signed = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1]), randomBytes(8)),
    algorithm,
    name,
    sequence(utcTime(Date.now() - 7200e3), utcTime(Date.now() + validMs)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    ...(hosts.length > 0 ? [der(0xa3, sequence(altNames))] : []),
  );
  const signature = der(0x03, Buffer.from([0]), sign("sha256", signed, privateKey));
  return {
    cert: pem(sequence(signed, algorithm, signature)),
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  };
}

/** Writes both into `folder`. */
export async function writeCertificate(folder: string, name: string, made: TestCertificate): Promise<CertificatePair> {
  const pair = { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
  await writeFile(pair.certFile, made.cert);
  await writeFile(pair.keyFile, made.key, { mode: 0o600 });
  return pair;
}
