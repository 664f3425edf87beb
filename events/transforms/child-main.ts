import { Worker } from "node:worker_threads";
import jsonata from "jsonata";
import type { EvaluatorAnswer, EvaluatorRequest } from "./protocol.ts";

/** The process that evaluates expressions, one at a time. It may die of any of them, and only it does. */

/** Expressions that are kept as read. */
const MAX_COMPILED = 200;
/** Calls in one another; each takes several frames and promises. */
const MAX_DEPTH = 1_000;
/** Members of a list that an expression makes. */
const MAX_SEQUENCE = 1_000_000;
const MAX_MESSAGE_CHARS = 300;

/**
 * Ends this process when the one that has started it is gone: an endless expression would not let it notice by itself.
 * `process.ppid` asks the system each time.
 */
const ORPHAN_WATCH = `
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.kill(process.pid, "SIGKILL"), 1000);
`;

const compiled = new Map<string, jsonata.Expression>();

function compile(expression: string, timeLimitMs: number): jsonata.Expression {
  const known = compiled.get(expression);
  if (known) {
    compiled.delete(expression);
    compiled.set(expression, known);
    return known;
  }
  const made = jsonata(expression, { timeout: timeLimitMs, stack: MAX_DEPTH, sequence: MAX_SEQUENCE });
  compiled.set(expression, made);
  if (compiled.size > MAX_COMPILED) compiled.delete(compiled.keys().next().value as string);
  return made;
}

async function answer({ id, expression, input, ...rest }: EvaluatorRequest): Promise<EvaluatorAnswer> {
  try {
    const made = compile(expression, rest.timeLimitMs);
    if (input === undefined) return { kind: "value", id };
    const variables = JSON.parse(rest.variables ?? "{}") as Record<string, unknown>;
    const value: unknown = await made.evaluate(JSON.parse(input), variables);
    const text: string | undefined = JSON.stringify(value, refuseFunctions);
    if (text === undefined) return { kind: "value", id };
    if (text.length > rest.maxResultChars) {
      return { kind: "failed", id, message: `gives more than ${rest.maxResultChars} characters` };
    }
    return { kind: "value", id, text };
  } catch (thrown) {
    return { kind: "failed", id, ...describe(thrown) };
  }
}

/** JSONata's own functions are objects with all that they see. */
function refuseFunctions(_key: string, value: unknown): unknown {
  const marked = value as { _jsonata_lambda?: unknown; _jsonata_function?: unknown } | null | undefined;
  const isObject = typeof value === "object" && value !== null;
  if (typeof value === "function" || (isObject && (marked?._jsonata_lambda || marked?._jsonata_function))) {
    throw new Error("gives a function, which is no JSON");
  }
  return value;
}

/** What JSONata throws is not always an error. */
function describe(thrown: unknown): { message: string; code?: string; position?: number } {
  const { code, message, position } = (thrown ?? {}) as { code?: unknown; message?: unknown; position?: unknown };
  return {
    message: typeof message === "string" && message !== "" ? message.slice(0, MAX_MESSAGE_CHARS) : "fails",
    ...(typeof code === "string" && { code: code.slice(0, 20) }),
    ...(typeof position === "number" && { position }),
  };
}

function run(send: (answer: EvaluatorAnswer) => void): void {
  new Worker(ORPHAN_WATCH, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 8 } }).unref();
  process.on("disconnect", () => process.exit(0));
  process.on("message", (request) => void answer(request as EvaluatorRequest).then(send));
  send({ kind: "ready" });
}

if (process.send) run(process.send.bind(process));
