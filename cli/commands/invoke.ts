import { createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Command } from "commander";
import { DEFAULT_NAMESPACE } from "../../contract/paths.ts";
import { parseDurationFlag } from "../duration.ts";
import { CliError, LIST_SHOWS } from "../errors.ts";
import { type Io, readAll, writeOut } from "../io.ts";
import { parsePairs } from "../key-values.ts";
import { resolveGatewayUrl } from "../stack/gateway-url.ts";
import { clientOptions } from "./connect.ts";
import {
  addGatewayOptions,
  addNamespaceOption,
  addStackOptions,
  collectValues,
  type GatewayFlags,
  type StackFlags,
} from "./options.ts";
import { readStackFile, selectedNamespace } from "./selection.ts";
import type { WaitOptions } from "./wait-for-call.ts";

interface Flags extends GatewayFlags, StackFlags {
  readonly method: string;
  readonly contentType: string;
  readonly query?: readonly string[];
  readonly header?: readonly string[];
  readonly async?: boolean;
  readonly wait?: boolean;
  readonly callback?: string;
  readonly sign?: string;
  readonly key?: string;
  readonly auth?: boolean;
  readonly timeout: string;
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const BODY_LIMIT_BYTES = 256 * 1024 * 1024;
const ERROR_LIMIT_BYTES = 64 * 1024;

/** `faaslane invoke NAME`: standard input is the body, the answer's body goes to standard output. */
export function invokeCommand(io: Io): Command {
  const command = new Command("invoke")
    .argument("<name>", "the function")
    .option("-m, --method <method>", METHODS.join(", "), "POST")
    .option("--content-type <type>", "of what is sent", "text/plain")
    .option("--query <key=value>", "query parameter (repeatable)", collectValues)
    .option("-H, --header <header>", "'Name: value' (repeatable)", collectValues)
    .option("-a, --async", "put the call into the queue and do not wait for it")
    .option("--wait", "wait for the end of an asynchronous call and print its result; --timeout limits that if given")
    .option("--callback <url>", "where the result of an asynchronous call is sent")
    .option("--sign <header>", "name of the header that carries an HMAC-SHA256 of the body; needs --key")
    .option("--key <secret>", "key of the signature")
    .option("--auth", "send the token given by --token")
    .option("--timeout <duration>", "for the whole call; 0 for none", "60s");
  addNamespaceOption(addGatewayOptions(addStackOptions(command)));
  return command.action(async (name: string) => {
    const flags = command.optsWithGlobals<Flags>();
    const timeoutMs = parseDurationFlag("--timeout", flags.timeout);
    const headers = headersOf(flags);
    const stack = await readStackFile(io, flags);
    const path = pathOf(name, selectedNamespace(name, flags.namespace, stack), flags);
    const sources = { flag: flags.gateway, stack: stack?.gateway, env: io.env.OPENFAAS_URL };
    const url = resolveGatewayUrl(sources);

    const body = await readBody(io, flags.method);
    if (flags.sign && flags.key) {
      headers[flags.sign] = [`sha256=${createHmac("sha256", flags.key).update(body).digest("hex")}`];
    }
    const { userAgent, tlsVerify, trace } = clientOptions(io, flags);
    const { createTransport, explainNetworkError } = await import("../client/transport.ts");
    const send = createTransport({ url, tlsVerify, ...(trace && { trace }) });
    const request = { method: flags.method, path, headers: { "User-Agent": [userAgent], ...headers }, body };
    const response = await send({ ...request, ...(timeoutMs > 0 && { timeoutMs }) });
    try {
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) throw await failureOf(response);
      for await (const chunk of response as AsyncIterable<Buffer>) await writeOut(io.stdout, chunk);
      if (flags.async && status === 202) {
        const id = response.headers["x-call-id"];
        io.stderr.write(`Function submitted asynchronously${id ? `, call id ${id}` : ""}.\n`);
        if (flags.wait) {
          const given = command.getOptionValueSource("timeout") !== "default";
          const waiting = { send, url, headers: { "User-Agent": [userAgent] }, timeoutMs: given ? timeoutMs : 0 };
          await printResult(io, response.headers.location, waiting);
        }
      }
    } catch (error) {
      throw explainNetworkError(url, error);
    } finally {
      response.destroy();
    }
  });
}

/** What to do about failures of calls, by their code. */
const OF_CALLS: Readonly<Record<string, string>> = {
  unknown_function: LIST_SHOWS,
  unauthorized: "the function wants credentials: --auth --token TOKEN, or --header 'Authorization: …'",
};

async function failureOf(response: IncomingMessage): Promise<CliError> {
  const { readText } = await import("../client/read-body.ts");
  const { answeredCode } = await import("../client/gateway-error.ts");
  const { nextStep } = await import("../client/next-step.ts");
  const said = await readText(response, ERROR_LIMIT_BYTES).catch(() => "(more than can be shown)");
  const { statusCode: status = 0, statusMessage = "", headers } = response;
  const code = answeredCode(headers);
  // Without a code it is the function's own answer.
  const next = code && (OF_CALLS[code] ?? nextStep(status, said, headers));
  const words = [said.trim() || statusMessage, next].filter(Boolean).join("; ");
  return new CliError(`Server returned unexpected status code: ${status} - ${words}`);
}

/** @param location of the call's status, as the gateway has answered */
async function printResult(io: Io, location: string | undefined, waiting: Omit<WaitOptions, "path">): Promise<void> {
  if (!location?.startsWith("/")) throw new CliError("--wait: this gateway does not report the state of calls");
  const { fetchResult, waitForCall } = await import("./wait-for-call.ts");
  // What comes after the gateway's own path is what its routes are called by.
  const base = new URL(waiting.url).pathname.replace(/\/$/, "");
  const options = { ...waiting, path: location.startsWith(`${base}/`) ? location.slice(base.length) : location };
  const call = await waitForCall(options);
  const result = await fetchResult(options);
  if (!result) {
    io.stderr.write("The call is done; no result of it is kept.\n");
    return;
  }
  try {
    for await (const chunk of result as AsyncIterable<Buffer>) await writeOut(io.stdout, chunk);
  } finally {
    result.destroy();
  }
  const { status = 200 } = call;
  if (status < 200 || status > 299) throw new CliError(`the function answered with status code ${status}`);
}

/** @throws {CliError} for flags that are wrong or do not belong together */
function headersOf(flags: Flags): Record<string, string[]> {
  if (!METHODS.includes(flags.method)) throw new CliError(`--method must be one of ${METHODS.join(", ")}`);
  if (Boolean(flags.sign) !== Boolean(flags.key)) throw new CliError("--sign and --key must be used together");
  if (flags.callback && !flags.async) throw new CliError("--callback needs --async");
  if (flags.wait && !flags.async) throw new CliError("--wait needs --async");
  if (flags.auth && !flags.token) throw new CliError("--auth needs --token");
  const headers: Record<string, string[]> = { "Content-Type": [flags.contentType] };
  for (const text of flags.header ?? []) {
    const [, name = "", rest = ""] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[:=]([^\r\n]*)$/.exec(text) ?? [];
    const value = text[name.length] === ":" ? rest.replace(/^[ \t]+/, "") : rest;
    if (name === "") throw new CliError("--header must be 'Name: value'");
    const known = Object.keys(headers).find((other) => other.toLowerCase() === name.toLowerCase());
    // The default type gives way; a header given twice is sent twice.
    if (known === "Content-Type" && name.toLowerCase() === "content-type") headers[known] = [value];
    else headers[known ?? name] = [...(headers[known ?? name] ?? []), value];
  }
  if (flags.callback) headers["X-Callback-Url"] = [flags.callback];
  if (flags.auth) headers.Authorization = [`Bearer ${flags.token}`];
  return headers;
}

/** The namespace always appears, so that a gateway with another default calls the same function. */
function pathOf(name: string, namespace: string | undefined, flags: Flags): string {
  const qualified = name.includes(".") ? name : `${name}.${namespace ?? DEFAULT_NAMESPACE}`;
  const query = new URLSearchParams(parsePairs("--query", flags.query)).toString();
  const route = flags.async ? "async-function" : "function";
  return `/${route}/${encodeURIComponent(qualified)}${query === "" ? "" : `?${query}`}`;
}

async function readBody(io: Io, method: string): Promise<Buffer> {
  if (io.stdin.isTTY) {
    if (method === "GET") return Buffer.alloc(0);
    io.stderr.write("Reading from standard input; end it with Control-D.\n");
  }
  return await readAll(io.stdin, BODY_LIMIT_BYTES);
}
