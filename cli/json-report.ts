import type { BuildOutcome } from "./build/build-functions.ts";
import type { BuildProgress } from "./build/progress.ts";
import { GatewayError } from "./client/gateway-error.ts";
import type { DeployOutcome } from "./deploy/deploy-functions.ts";
import type { ResourceOutcome } from "./deploy/deploy-resources.ts";
import { describeError } from "./errors.ts";
import type { Io } from "./io.ts";

/** What became of one function, as `--json` prints it. */
export type FunctionResult = {
  readonly name: string;
  readonly status: "built" | "laidOut" | "skipped" | "deployed" | "failed";
} & Readonly<Record<string, unknown>>;

/** Of the output of a build that fails. */
const TAIL_LINES = 40;

/**
 * What a command does, for scripts: a line of JSON for each function, failures too, and a last one with the sum of them.
 * Nothing else goes to standard output.
 */
export class JsonReport {
  /** Shows nothing, and keeps the last output of each function. */
  readonly progress: BuildProgress;
  readonly #stdout: Io["stdout"];
  readonly #tails = new Map<string, string[]>();
  readonly #results: FunctionResult[] = [];
  readonly #startedAt = performance.now();

  constructor({ stdout }: Pick<Io, "stdout">) {
    this.#stdout = stdout;
    this.progress = {
      started: () => {},
      log: (name, line) => {
        const tail = this.#tails.get(name) ?? [];
        tail.push(line);
        if (tail.length > TAIL_LINES) tail.shift();
        this.#tails.set(name, tail);
      },
      finished: () => {},
      settled: async () => {},
    };
  }

  /** A build as a result of its own. */
  ofBuild(outcome: BuildOutcome): FunctionResult {
    const { kind: status, name } = outcome;
    switch (outcome.kind) {
      case "built":
        return { name, status, image: outcome.image, digest: outcome.digest, durationMs: rounded(outcome.durationMs) };
      case "laidOut":
        return { name, status, folder: outcome.folder, durationMs: rounded(outcome.durationMs) };
      case "skipped":
        return { name, status, reason: outcome.reason };
      case "failed":
        return {
          name,
          status,
          ...errorFields(outcome.error),
          log: this.#tails.get(name) ?? [],
          durationMs: rounded(outcome.durationMs),
        };
    }
  }

  /** Prints a function's line. */
  add(result: FunctionResult): void {
    this.#results.push(result);
    this.#print(result);
  }

  /** Prints the last line. @returns whether anything failed */
  end(): boolean {
    const failed = this.#results.filter(({ status }) => status === "failed").length;
    const functions = this.#results.length;
    const durationMs = rounded(performance.now() - this.#startedAt);
    this.#print({ summary: { functions, succeeded: functions - failed, failed, durationMs } });
    return failed > 0;
  }

  #print(value: object): void {
    this.#stdout.write(`${JSON.stringify(value)}\n`);
  }
}

/** @param url of the gateway */
export function resultOfDeploy(outcome: DeployOutcome, url: string): FunctionResult {
  const { name } = outcome;
  if (outcome.kind === "failed") return { name, status: "failed", ...errorFields(outcome.error) };
  const { namespace, answer } = outcome;
  return {
    name,
    ...(namespace && { namespace }),
    status: "deployed",
    url: `${url}/function/${namespace ? `${name}.${namespace}` : name}`,
    httpStatus: answer.status,
    ...(answer.warnings.length > 0 && { warnings: answer.warnings }),
  };
}

export function resultOfResource(outcome: ResourceOutcome): FunctionResult {
  const { name } = outcome;
  if (outcome.kind === "failed") return { name, status: "failed", ...errorFields(outcome.error) };
  return { name, status: "deployed", isNew: outcome.isNew };
}

function errorFields(error: unknown): object {
  const code = error instanceof GatewayError ? error.answeredCode : undefined;
  return { error: describeError(error), ...(code !== undefined && { code }) };
}

const rounded = (ms: number): number => Math.round(ms);
