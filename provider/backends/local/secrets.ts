import { readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { FaasError } from "../../../contract/errors.ts";
import { type SecretName, secretInUse } from "../../../contract/secrets.ts";
import { ensureFolder, namesIn, removeTree, sweepFolder, syncFolder, writeFileDurably } from "./files.ts";

/** Values on disk: `<folder>/<namespace>/<name>`, mode 0600. Names were checked at the door, see the contract. */
export interface SecretFiles {
  has(secret: SecretName): boolean;
  names(namespace: string): string[];
  /** Changes with each write; undefined when there is no such secret. */
  revision(secret: SecretName): Promise<string | undefined>;
  /** @throws {FaasError} `notFound` */
  read(secret: SecretName): Promise<Buffer>;
  /** @throws {FaasError} `conflict` when there is one */
  create(secret: SecretName, value: Buffer): Promise<void>;
  /** @throws {FaasError} `notFound` */
  update(secret: SecretName, value: Buffer): Promise<void>;
  /** @throws {FaasError} `notFound`; `conflict` when it is in use, unless by `force` */
  remove(secret: SecretName, force: boolean): Promise<void>;
  removeNamespace(namespace: string): Promise<void>;
}

// The contract's decoder guards the wire; this guards the disk against every caller.
const SAFE_NAME = /^[a-z0-9][-a-z0-9.]{0,252}$/;

/** Holds copies of secrets. */
export interface SecretUsers {
  /** Names of the functions that are deployed with it. */
  usersOf(secret: SecretName): readonly string[];
  /** Spreads a value; the next write waits for it, so that the last one written is the last one spread. */
  refresh(secret: SecretName, value: Buffer): Promise<void>;
}

/** @param namespaces those that exist; folders of others are removed */
export async function openSecretFiles(
  folder: string,
  namespaces: readonly string[],
  users: SecretUsers,
): Promise<SecretFiles> {
  const known = new Map<string, Set<string>>();
  await ensureFolder(folder);
  await sweepFolder(folder, (name) => namespaces.includes(name));
  for (const namespace of namespaces) {
    await sweepFolder(join(folder, namespace), (name) => SAFE_NAME.test(name));
    known.set(namespace, new Set(await namesIn(join(folder, namespace))));
  }

  const fileOf = ({ namespace, name }: SecretName) => join(folder, namespace, name);
  const has = ({ namespace, name }: SecretName) => known.get(namespace)?.has(name) ?? false;
  const require = (secret: SecretName) => {
    if (!has(secret)) throw new FaasError("notFound", `secret "${secret.name}" not found`);
  };

  // One write at a time: they are rare, and their order then is the order of the calls.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work);
    turn = mine.catch(() => undefined);
    return mine;
  };

  return {
    has,
    names: (namespace) => [...(known.get(namespace) ?? [])].sort(),
    revision: async (secret) => {
      if (!has(secret)) return undefined;
      const { mtimeNs, ino } = await stat(fileOf(secret), { bigint: true });
      return `${ino}-${mtimeNs}`;
    },
    read: async (secret) => {
      require(secret);
      return await readFile(fileOf(secret));
    },
    create: (secret, value) =>
      inTurn(async () => {
        const { name, namespace } = secret;
        if (!SAFE_NAME.test(name)) throw new FaasError("invalid", `secret: name: (${name}) is invalid`);
        if (has(secret)) throw new FaasError("conflict", `secret "${name}" already exists`);
        await ensureFolder(join(folder, namespace));
        await writeFileDurably(fileOf(secret), value);
        await syncFolder(folder);
        const names = known.get(namespace) ?? new Set();
        known.set(namespace, names.add(name));
        await users.refresh(secret, value);
      }),
    update: (secret, value) =>
      inTurn(async () => {
        require(secret);
        await writeFileDurably(fileOf(secret), value);
        await users.refresh(secret, value);
      }),
    remove: (secret, force) =>
      inTurn(async () => {
        require(secret);
        const inUse = force ? [] : users.usersOf(secret);
        if (inUse.length > 0) throw secretInUse(secret, inUse);
        // At once, so that nothing is deployed with it meanwhile.
        const names = known.get(secret.namespace);
        names?.delete(secret.name);
        try {
          await unlink(fileOf(secret));
        } catch (error) {
          names?.add(secret.name);
          throw error;
        }
        await syncFolder(join(folder, secret.namespace));
      }),
    removeNamespace: (namespace) =>
      inTurn(async () => {
        known.delete(namespace);
        await removeTree(join(folder, namespace));
      }),
  };
}
