import { randomBytes } from "node:crypto";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CredentialFiles } from "../../kit/credential-files.ts";
import type { Logger } from "../../kit/log.ts";

/** The credentials kept in `dataDir`, made on the first start: user `admin`, a random password, readable by the owner only. */
export async function ensureCredentials(dataDir: string, overlapMs: number, log: Logger): Promise<CredentialFiles> {
  const ensure = (file: string, content: () => string) => {
    const path = join(dataDir, file);
    if (existsSync(path)) return;
    writeFileSync(`${path}.new`, content(), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  ensure("basic-auth-user", () => "admin\n");
  ensure("basic-auth-password", () => `${randomBytes(24).toString("base64url")}\n`);
  return await CredentialFiles.open(dataDir, { overlapMs, log });
}
