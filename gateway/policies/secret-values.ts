import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { FaasError } from "../../contract/errors.ts";
import { isDnsSubdomain } from "../../contract/names.ts";
import type { SecretName } from "../../contract/secrets.ts";

export interface SecretValuesOptions {
  /** Folder of `<namespace>/<name>`. */
  readonly folder: string;
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
}

const MAX_BYTES = 64 * 1024;
/** A value holds for so long before its file is looked at again. */
const LOOK_EVERY_MS = 1_000;
/** Secrets that are remembered. */
const MAX_KNOWN = 10_000;

interface Known {
  readonly readAt: number;
  /** Text of the file; stays the same object as long as nothing changes, for those who keep what they made of it. */
  readonly value: Promise<SecretValue>;
}

/** What a secret holds. */
export interface SecretValue {
  /** As it is, without the space at its end. */
  readonly text: string;
  /** Lines that say something, trimmed. */
  readonly lines: readonly string[];
}

/** Values of functions' secrets, read from files, and again soon after those have changed. */
export class SecretValues {
  readonly #folder: string;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();

  constructor({ folder, now = () => performance.now() }: SecretValuesOptions) {
    this.#folder = folder;
    this.#now = now;
  }

  /** @throws {FaasError} `unavailable`, with the cause for the log, when there is none or it cannot be read */
  read({ namespace, name }: SecretName): Promise<SecretValue> {
    const key = `${namespace}/${name}`;
    const now = this.#now();
    const known = this.#known.get(key);
    if (known && now - known.readAt < LOOK_EVERY_MS) return known.value;
    const value = this.#renew({ namespace, name }, known?.value);
    if (!known && this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(key, { readAt: now, value });
    value.catch(() => {}); // whoever asked is told
    return value;
  }

  async #renew(secret: SecretName, before: Promise<SecretValue> | undefined): Promise<SecretValue> {
    const last = await before?.catch(() => undefined);
    const text = await this.#readText(secret);
    if (last?.text === text) return last;
    const lines = text.split("\n").map((line) => line.trim());
    return { text, lines: lines.filter((line) => line !== "" && !line.startsWith("#")) };
  }

  async #readText({ namespace, name }: SecretName): Promise<string> {
    const fail = (cause: unknown) =>
      new FaasError("unavailable", `the gateway has no secret ${name} of namespace ${namespace}`, {
        cause,
        code: "auth_unavailable",
      });
    // A provider names them; what it names is not to lead out of the folder.
    if (!isDnsSubdomain(namespace) || !isDnsSubdomain(name)) throw fail(new Error("not a name"));
    try {
      const text = (await readBounded(join(this.#folder, namespace, name))).trimEnd();
      if (text === "") throw new Error("it is empty");
      return text;
    } catch (cause) {
      throw fail(cause);
    }
  }
}

async function readBounded(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0);
    if (bytesRead > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
