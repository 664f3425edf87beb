import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import { CliError } from "../errors.ts";
import type { Io } from "../io.ts";
import { parsePairs } from "../key-values.ts";
import { generateKeyPair, KEY_BYTES, NONCE_BYTES, openBox, publicKeyOf, sealBox } from "../seal/box.ts";
import { collectValues } from "./options.ts";

/** File in which builders look for sealed secrets. */
const SEALED_FILE = "com.openfaas.secrets";
const MAX_RANDOM_BYTES = 64 * 1024;

/** The commands of `faaslane secret` that need no gateway. */
export function sealingCommands(io: Io): Command[] {
  return [generateCommand(io), keygenCommand(io), sealCommand(io), unsealCommand(io)];
}

function generateCommand(io: Io): Command {
  const command = new Command("generate")
    .description("make a random value, in base64")
    .option("--length <bytes>", "how many random bytes", "32")
    .option("-o, --output <file>", "write it to a file that only you can read (default: print it)");
  return command.action(async () => {
    const { length, output } = command.opts<{ length: string; output?: string }>();
    const bytes = /^\d{1,6}$/.test(length) ? Number(length) : 0;
    if (bytes < 1 || bytes > MAX_RANDOM_BYTES) {
      throw new CliError(`--length must be a whole number from 1 to ${MAX_RANDOM_BYTES}`);
    }
    const value = randomBytes(bytes).toString("base64");
    if (output === undefined) io.stdout.write(`${value}\n`);
    else await writeNew(io, output, value);
  });
}

function keygenCommand(io: Io): Command {
  const command = new Command("keygen")
    .description("make a pair of keys to seal build secrets with")
    .option("-o, --output <file>", "the private key; the public one is put beside it, with .pub", "key");
  return command.action(async () => {
    const { output } = command.opts<{ output: string }>();
    const { publicKey, privateKey } = generateKeyPair();
    await writeNew(io, output, `${privateKey.toString("base64")}\n`);
    await writeNew(io, `${output}.pub`, `${publicKey.toString("base64")}\n`);
    io.stdout.write(`Keep ${output} with the builder; seal with ${output}.pub\n`);
  });
}

function sealCommand(io: Io): Command {
  const command = new Command("seal")
    .description("seal build secrets, for a builder's eyes only")
    .argument("<public-key>", "file with the builder's public key")
    .option(
      "--from-literal <name=value>",
      "a secret (repeatable); others may see it in the list of processes",
      collectValues,
    )
    .option("--from-file <name=file>", "a secret from a file (repeatable)", collectValues)
    .option("-o, --output <file>", "where the sealed secrets go", SEALED_FILE);
  return command.action(async (keyFile: string) => {
    const flags = command.opts<{ fromLiteral?: string[]; fromFile?: string[]; output: string }>();
    const values = new Map<string, Buffer>();
    for (const [name, value] of parsePairs("--from-literal", flags.fromLiteral)) values.set(name, Buffer.from(value));
    for (const [name, file] of parsePairs("--from-file", flags.fromFile))
      values.set(name, await read(io, "--from-file", file));
    if (values.size === 0)
      throw new CliError("give what to seal with --from-literal name=value or --from-file name=file");
    const theirs = await readKey(io, keyFile);
    const ours = generateKeyPair();
    const secrets: Record<string, string> = {};
    for (const [name, value] of values) {
      const nonce = randomBytes(NONCE_BYTES);
      secrets[name] = Buffer.concat([nonce, sealBox(value, nonce, theirs, ours.privateKey)]).toString("base64");
    }
    const { formatSealedSecrets } = await import("../stack/sealed-secrets.ts");
    const keyId = theirs.toString("base64").slice(0, 8);
    const text = formatSealedSecrets({ keyId, publicKey: ours.publicKey.toString("base64"), secrets });
    await writeFile(resolve(io.cwd, flags.output), text, { mode: 0o600 });
    io.stdout.write(`Sealed ${[...values.keys()].join(", ")} into ${flags.output}\n`);
  });
}

function unsealCommand(io: Io): Command {
  const command = new Command("unseal")
    .description("show what was sealed")
    .argument("<private-key>", "file with the private key")
    .option("--in <file>", "the sealed secrets", SEALED_FILE)
    .option("--key <name>", "only this secret, by itself")
    .option("-j, --json", "as JSON");
  return command.action(async (keyFile: string) => {
    const flags = command.opts<{ in: string; key?: string; json?: boolean }>();
    const { parseSealedSecrets } = await import("../stack/sealed-secrets.ts");
    const sealed = parseSealedSecrets((await read(io, "--in", flags.in)).toString("utf8"), flags.in);
    const privateKey = await readKey(io, keyFile);
    const keyId = publicKeyOf(privateKey).toString("base64").slice(0, 8);
    if (sealed.keyId !== keyId) {
      throw new CliError(`${flags.in} was sealed for the key ${sealed.keyId}, and ${keyFile} is of ${keyId}`);
    }
    const theirs = Buffer.from(sealed.publicKey, "base64");
    const names = flags.key === undefined ? Object.keys(sealed.secrets) : [flags.key];
    const values = names.map((name): [string, Buffer] => {
      if (!Object.hasOwn(sealed.secrets, name)) {
        throw new CliError(`${flags.in} has no secret ${name}; it has ${Object.keys(sealed.secrets).join(", ")}`);
      }
      const bytes = Buffer.from(sealed.secrets[name] ?? "", "base64");
      const isKey = theirs.length === KEY_BYTES;
      const value = isKey && openBox(bytes.subarray(NONCE_BYTES), bytes.subarray(0, NONCE_BYTES), theirs, privateKey);
      if (!value) throw new CliError(`${flags.in}: ${name} is damaged, or was sealed for somebody else`);
      return [name, value];
    });
    if (flags.json) {
      const shown = Object.fromEntries(values.map(([name, value]) => [name, value.toString("utf8")]));
      io.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
    } else if (flags.key !== undefined) io.stdout.write(values[0]?.[1] ?? "");
    else for (const [name, value] of values) io.stdout.write(`${name}: ${value.toString("utf8")}\n`);
  });
}

/** Never over what is there: a key is not to be made up for. */
async function writeNew(io: Io, file: string, text: string): Promise<void> {
  await writeFile(resolve(io.cwd, file), text, { mode: 0o600, flag: "wx" }).catch((cause: NodeJS.ErrnoException) => {
    const why =
      cause.code === "EEXIST" ? "it is there already; remove it, or name another with --output" : cause.message;
    throw new CliError(`cannot write ${file}: ${why}`, { cause });
  });
}

async function readKey(io: Io, file: string): Promise<Buffer> {
  const key = Buffer.from((await read(io, "the key", file)).toString("utf8").trim(), "base64");
  if (key.length !== KEY_BYTES)
    throw new CliError(`${file} must hold a key of ${KEY_BYTES} bytes in base64, as keygen writes it`);
  return key;
}

async function read(io: Io, what: string, file: string): Promise<Buffer> {
  return await readFile(resolve(io.cwd, file.replace(/^~(?=\/)/, io.home))).catch((cause: Error) => {
    throw new CliError(`${what}: cannot read ${file}: ${cause.message}`, { cause });
  });
}
