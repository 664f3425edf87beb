import { FaasError } from "../../../contract/errors.ts";
import type { CallDetail, CallsAnswer } from "../../../contract/ui/series.ts";
import type { Parameters } from "../../core/dead-letter-query.ts";
import type { CallLog } from "./call-log.ts";
import { buildCallDetail, buildCallRow } from "./call-rows.ts";
import { type CallsQuery, readCallsQuery } from "./calls-query.ts";
import { mergeCalls, type OtherGateways, pickCall, type UiQuestion } from "./other-gateways.ts";

export interface PastCallsOptions {
  /** Absent where none are kept. */
  readonly log: Pick<CallLog, "ask" | "find" | "leftOut" | "list" | "since"> | undefined;
  /** Whether there is such a function. */
  readonly exists: (name: string) => boolean;
  /** Absent where there is but this one. */
  readonly others?: Pick<OtherGateways, "ask"> | undefined;
  readonly defaultNamespace: string;
}

/** Answers what calls there were. */
export class PastCalls {
  readonly #options: PastCallsOptions;

  constructor(options: PastCallsOptions) {
    this.#options = options;
  }

  /** @throws {FaasError} `invalid`; `notFound` when there is no such function; `unsupported` where no calls are kept */
  async list(given: Parameters): Promise<CallsAnswer> {
    const { exists, defaultNamespace } = this.#options;
    const query = readCallsQuery(given, defaultNamespace);
    const log = this.#log();
    if (!exists(query.name)) {
      throw new FaasError("notFound", `there is no function ${query.name}`, { code: "unknown_function" });
    }
    log.ask();
    const own = this.#own(query);
    const { others } = this.#options;
    return others ? mergeCalls(own, await others.ask({ kind: "calls", ...query }), query) : own;
  }

  /** What another gateway wants to know. @returns JSON; undefined when there is nothing to tell */
  answer(asked: Extract<UiQuestion, { kind: "calls" | "call" }>): string | undefined {
    const { log } = this.#options;
    // Who looks there wants the calls of all.
    log?.ask();
    if (asked.kind === "calls") return log && JSON.stringify(this.#own({ ...asked, before: asked.before }));
    const found = log?.find(asked.id);
    return found && JSON.stringify(buildCallDetail(found));
  }

  /** Those that this gateway has kept. */
  #own(query: CallsQuery): CallsAnswer {
    const log = this.#log();
    const calls = log.list(query.name, query);
    const page = calls.slice(0, query.limit);
    const last = calls.length > page.length ? page.at(-1) : undefined;
    const leftOut = log.leftOut(query.name);
    return {
      calls: page.map(buildCallRow),
      since: Math.floor(log.since),
      ...(leftOut > 0 && { leftOut }),
      ...(last && { next: String(last.at) }),
    };
  }

  /** @throws {FaasError} `notFound` when it is not kept (any more) */
  async detail(id: string): Promise<CallDetail> {
    const log = this.#log();
    log.ask();
    const found = log.find(id);
    if (found) return buildCallDetail(found);
    const elsewhere = pickCall((await this.#options.others?.ask({ kind: "call", id })) ?? []);
    if (elsewhere) return elsewhere;
    throw new FaasError("notFound", "there is no such call among those that are kept", { code: "unknown_call" });
  }

  #log(): NonNullable<PastCallsOptions["log"]> {
    const { log } = this.#options;
    if (log) return log;
    throw new FaasError("unsupported", "this gateway keeps no calls (ui_calls=never)");
  }
}
