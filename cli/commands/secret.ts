import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { isDnsSubdomain } from "../../contract/names.ts";
import { describeAnswer, type GatewayAnswer, type GatewayClient } from "../client/gateway-client.ts";
import { CliError, SilentFailure } from "../errors.ts";
import { type Io, readAll } from "../io.ts";
import { connect } from "./connect.ts";
import { addGatewayOptions, addNamespaceOption, type GatewayFlags } from "./options.ts";
import { sealingCommands } from "./secret-seal.ts";
import { type GivenSecretValue, trimmedSecret } from "./secret-value.ts";

interface ValueFlags extends GatewayFlags {
  readonly fromLiteral?: string;
  readonly fromFile?: string;
  readonly trim?: boolean;
  readonly replace?: boolean;
}

const VALUE_LIMIT_BYTES = 1024 * 1024;

/** `faaslane secret …`; the gateway is not taken from the stack file. */
export function secretCommand(io: Io): Command {
  const secret = new Command("secret");
  const add = (name: string, summary: string) => {
    const command = new Command(name).description(summary);
    secret.addCommand(command);
    return addNamespaceOption(addGatewayOptions(command));
  };

  const create = withValue(add("create", "create a secret")).option("--replace", "update it when it exists");
  create.action(async (name: string) => {
    const flags = create.opts<ValueFlags>();
    const request = await requestOf(io, name, flags);
    const { client } = await connect(io, flags);
    io.stdout.write(`Creating secret: ${name}.\n`);
    const answer = await client.createSecret(request);
    if (answer.status === 409 && flags.replace) {
      io.stdout.write(`Secret ${name} exists, updating it.\n`);
      assertStatus(await client.updateSecret(request), [200, 202], name);
      io.stdout.write("Updated.\n");
      return;
    }
    assertStatus(answer, [200, 201, 202], name);
    io.stdout.write(`Created: ${answer.status} ${answer.statusText}\n`);
  });

  const update = withValue(add("update", "replace the value of a secret"));
  update.action(async (name: string) => {
    const flags = update.opts<ValueFlags>();
    const request = await requestOf(io, name, flags);
    const { client } = await connect(io, flags);
    io.stdout.write(`Updating secret: ${name}.\n`);
    const answer = await client.updateSecret(request);
    assertStatus(answer, [200, 202], name);
    io.stdout.write(`Updated: ${answer.status} ${answer.statusText}\n`);
  });

  const list = add("list", "list the names of secrets").alias("ls").option("-j, --json", "as JSON");
  list.action(async () => {
    const flags = list.opts<GatewayFlags & { json?: boolean }>();
    const { client } = await connect(io, flags);
    const secrets = await client.listSecrets(flags.namespace);
    if (flags.json) io.stdout.write(`${JSON.stringify(secrets, null, 2)}\n`);
    else io.stdout.write(["NAME", ...secrets.map(({ name }) => name)].map((line) => `${line}\n`).join(""));
  });

  const remove = add("remove", "remove a secret")
    .aliases(["rm", "delete"])
    .argument("<name>", "the secret")
    .option("--force", "also when functions use it; those that run keep their copy");
  remove.action(async (name: string) => {
    const flags = remove.opts<GatewayFlags & { force?: boolean }>();
    const { client } = await connect(io, flags);
    const answer = await client.removeSecret(name, flags.namespace, flags.force);
    if (answer.status === 409) throw new CliError(answer.text.trim());
    assertStatus(answer, [200, 202], name);
    io.stdout.write(`Removed: ${answer.status} ${answer.statusText}\n`);
  });

  const apply = add("apply", "create or update a secret for each file in ./.secrets").option(
    "--no-trim",
    "keep white space",
  );
  apply.action(async () => {
    const flags = apply.opts<ValueFlags>();
    const { client } = await connect(io, flags);
    if (await applyFolder(io, client, flags)) throw new SilentFailure();
  });
  for (const command of sealingCommands(io)) secret.addCommand(command);
  return secret;
}

function withValue(command: Command): Command {
  return command
    .argument("<name>", "the secret")
    .option("--from-literal <value>", "the value itself; others may see it in the list of processes")
    .option("--from-file <file>", "a file with the value")
    .option("--trim", "take white space off both ends (default)")
    .option("--no-trim", "keep the value as it is");
}

/** @throws {CliError} when the name is wrong, or there is not exactly one source of a value */
async function requestOf(io: Io, name: string, flags: ValueFlags) {
  checkName(name);
  const { fromLiteral, fromFile, trim = true, namespace } = flags;
  if (fromLiteral !== undefined && fromFile !== undefined) {
    throw new CliError("--from-literal and --from-file cannot be used together");
  }
  const bytes = await readValue(io, fromLiteral, fromFile);
  return { name, namespace, ...trimmedSecret(bytes, { trim, isFile: fromFile !== undefined }) };
}

async function readValue(io: Io, literal: string | undefined, file: string | undefined): Promise<Buffer> {
  if (literal !== undefined) return Buffer.from(literal);
  if (file === undefined) {
    if (io.stdin.isTTY) io.stderr.write("Reading the value from standard input; end it with Control-D.\n");
    return await readAll(io.stdin, VALUE_LIMIT_BYTES);
  }
  try {
    return await readFile(resolve(io.cwd, file));
  } catch (cause) {
    throw new CliError(`--from-file: cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}

/** @returns whether any secret could not be stored */
async function applyFolder(io: Io, client: GatewayClient, { namespace, trim = true }: ValueFlags): Promise<boolean> {
  const folder = join(io.cwd, ".secrets");
  const names = await readdir(folder).catch((cause: Error) => {
    throw new CliError(`cannot read ${folder}: ${cause.message}`, { cause });
  });
  const known = new Set((await client.listSecrets(namespace)).map(({ name }) => name));
  let failed = false;
  for (const name of names.sort()) {
    const value = await valueOfFile(join(folder, name), name, trim);
    if (typeof value === "string") {
      io.stdout.write(`Skipping ${name}: ${value}\n`);
      continue;
    }
    const request = { name, namespace, ...value };
    const first = known.has(name) ? await client.updateSecret(request) : await client.createSecret(request);
    const answer = first.status === 409 ? await client.updateSecret(request) : first;
    const stored = [200, 201, 202].includes(answer.status);
    failed ||= !stored;
    if (stored) io.stdout.write(`Applied: ${name}\n`);
    else io.stderr.write(`Error: ${name}: ${describeAnswer(answer)}\n`);
  }
  return failed;
}

/** The value, or why the file is none. */
async function valueOfFile(path: string, name: string, trim: boolean): Promise<GivenSecretValue | string> {
  if (!(await stat(path)).isFile()) return "it is not a file";
  if (!isDnsSubdomain(name)) return "its name cannot name a secret";
  const bytes = await readFile(path);
  return bytes.toString().trim() === "" ? "it is empty" : trimmedSecret(bytes, { trim, isFile: true });
}

function checkName(name: string): void {
  if (!isDnsSubdomain(name))
    throw new CliError(`${JSON.stringify(name)} cannot name a secret: it must be a DNS subdomain`);
}

function assertStatus(answer: GatewayAnswer, accepted: readonly number[], name: string): void {
  if (accepted.includes(answer.status)) return;
  if (answer.status === 404) throw new CliError(`unable to find secret: ${name}; \`faaslane secret list\` shows all`);
  if (answer.status === 409) {
    throw new CliError(`secret with the name ${JSON.stringify(name)} already exists; --replace gives it the new value`);
  }
  throw new CliError(describeAnswer(answer));
}
