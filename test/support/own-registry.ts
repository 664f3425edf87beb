import { join } from "node:path";
import type { Credentials } from "../../kit/basic-auth.ts";
import { createLogger } from "../../kit/log.ts";
import { RegistryClient } from "../../oci/registry-client.ts";
import type { RegistrySettings } from "../../registry/config.ts";
import { type OpenRegistry, openRegistry } from "../../registry/serve.ts";
import { temporaryFolder } from "./platform.ts";

export const REGISTRY_LOGIN = { user: "admin", password: "let me in" } satisfies Credentials;

/** Our registry in this process, on a folder of its own. */
export interface OwnRegistry {
  /** `host:port`. */
  readonly address: string;
  readonly folder: string;
  readonly registry: OpenRegistry;
  /** Logged in, unless there is no password. */
  readonly client: RegistryClient;
  /** A request with the password. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  remove(): Promise<void>;
}

/** @param login what it asks for; null asks nobody */
export async function startRegistry(
  given: Partial<RegistrySettings> = {},
  login: Credentials | null = REGISTRY_LOGIN,
): Promise<OwnRegistry> {
  const credentials = login ?? undefined;
  const temporary = await temporaryFolder();
  const folder = given.folder ?? join(temporary.path, "registry");
  const settings: RegistrySettings = {
    port: 0,
    bindAddress: "127.0.0.1",
    socketMode: 0o600,
    allowedHosts: [],
    anonymousPull: false,
    maxBlobBytes: 1024 ** 3,
    maxUploads: 16,
    uploadIdleMs: 600_000,
    collectEveryMs: Number.POSITIVE_INFINITY,
    graceMs: 3600e3,
    keepUntaggedMs: Number.POSITIVE_INFINITY,
    ...given,
    folder,
  };
  const registry = await openRegistry(settings, credentials, createLogger("silent"));
  const address = `127.0.0.1:${registry.port}`;
  const basic = credentials && `Basic ${btoa(`${credentials.user}:${credentials.password}`)}`;
  return {
    address,
    folder,
    registry,
    client: new RegistryClient({
      registry: address,
      login: credentials && { username: credentials.user, password: credentials.password },
    }),
    ask: async (path, init = {}) =>
      await fetch(new URL(path, `http://${address}`), {
        ...init,
        headers: { ...(basic && { authorization: basic }), ...init.headers },
      }),
    async remove() {
      await registry.close(1_000);
      await temporary.remove();
    },
  };
}

/** The codes of an error answer in the distribution's format. */
export async function codesOf(answer: Response): Promise<[status: number, ...codes: string[]]> {
  const { errors } = (await answer.json()) as { errors: { code: string; message: string }[] };
  return [answer.status, ...errors.map(({ code }) => code)];
}
