import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import { toFaasError } from "../../contract/errors.ts";
import { clientOf } from "../../http/client-address.ts";
import { within } from "../../kit/within.ts";
import { type FunctionPath, parseFunctionPath, splitVersion } from "../core/function-path.ts";
import { PathPrefix } from "../core/path-prefix.ts";
import { PolicyGate } from "../policies/policy-gate.ts";
import type { CallObserver } from "../telemetry/call-record.ts";
import type { Exchange, PlatformAnswer } from "./exchange.ts";
import { type CallContext, FunctionCall } from "./function-call.ts";
import { FunctionEntry } from "./function-entry.ts";
import type { FunctionTable } from "./function-table.ts";
import { GuardedCalls } from "./guarded-calls.ts";
import type { CallHeaders } from "./headers.ts";
import { HttpExchange, writeAnswer } from "./http-exchange.ts";
import { type MirrorPlan, Mirrors } from "./mirrors.ts";
import { MissingFunctionLookup, type ProviderQuestions } from "./missing-function-lookup.ts";
import { ObservedExchange } from "./observed-exchange.ts";
import {
  noFunctionAnswer,
  tooManyUpgradesAnswer,
  unknownFunctionAnswer,
  unknownVersionAnswer,
  unsureFunctionAnswer,
  wrongMethodAnswer,
} from "./platform-answers.ts";
import { type AskingCall, type ChoiceTold, ignoredVersion, VERSION_HEADER } from "./version-split.ts";

export const FUNCTION_PREFIX = "/function/";

export function isFunctionCall(url: string): boolean {
  return url.startsWith(FUNCTION_PREFIX);
}

/** Between two looks whether it is still worth waiting for the first snapshot. */
const FIRST_LOOK_MS = 50;

const METHODS = new Set(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]);

export interface FunctionProxyOptions {
  readonly table: FunctionTable;
  /** Asked for functions that the table does not know. */
  readonly provider: ProviderQuestions;
  /** Asks the provider for replicas; see {@link CallContext}. */
  readonly wake: (entry: FunctionEntry) => void;
  /** See {@link CallContext}. */
  readonly doubt?: CallContext["doubt"];
  readonly holdTimeoutMs: number;
  /** Takes, as they came, calls of functions that the table does not know or that have a policy; absent where that is done here. */
  readonly elsewhere?: (req: IncomingMessage, res: ServerResponse) => void;
  /** Sees to the policies of functions. */
  readonly gate?: PolicyGate;
  /** What callers put before our paths; whatever their proxies say when absent. */
  readonly pathPrefix?: PathPrefix;
  /** Whether a request has come by another path than it has now; none has when absent. */
  readonly isRouted?: (req: IncomingMessage) => boolean;
  /** Told of all calls; absent where nobody wants to know. */
  readonly observer?: CallObserver | undefined;
  /** Release of this gateway, for `X-Served-By` and `User-Agent`. */
  readonly release: string;
}

/** A call that a function was found for. */
interface Found {
  /** As the URL names the function. */
  readonly target: string;
  /** For the function. */
  readonly url: string;
  readonly headers: CallHeaders;
  /** Of the request as it came. */
  readonly asked: IncomingHttpHeaders;
}

/** Takes calls, most of them straight from `node:http`, and forwards each to a replica of its function, in one hop. */
export class FunctionProxy {
  readonly #table: FunctionTable;
  readonly #late: MissingFunctionLookup;
  readonly #context: CallContext;
  /** Calls wait for the first snapshot of functions no longer than this, by `performance.now()`. */
  readonly #patientUntil: number;
  #firstSnapshot: Promise<void> | undefined;
  readonly #userAgent: string;
  readonly #pathPrefix: PathPrefix;
  readonly #isRouted: (req: IncomingMessage) => boolean;
  readonly #guarded: GuardedCalls;
  readonly #observer: CallObserver | undefined;
  readonly #elsewhere: FunctionProxyOptions["elsewhere"];
  /** Once a function has wanted copies. */
  #mirrors: Mirrors<FunctionEntry> | undefined;

  constructor(options: FunctionProxyOptions) {
    const { table, provider, wake, doubt, holdTimeoutMs, gate, pathPrefix, observer, release } = options;
    this.#observer = observer;
    this.#elsewhere = options.elsewhere;
    this.#table = table;
    this.#late = new MissingFunctionLookup({ table, provider });
    this.#context = { wake, ...(doubt && { doubt }), holdTimeoutMs, servedBy: `faaslane/${release}` };
    this.#patientUntil = performance.now() + holdTimeoutMs;
    this.#userAgent = `faaslane-gateway/${release}`;
    this.#pathPrefix = pathPrefix ?? new PathPrefix();
    this.#isRouted = options.isRouted ?? (() => false);
    this.#guarded = new GuardedCalls(gate ?? new PolicyGate());
  }

  /** Answers a request whose URL starts with {@link FUNCTION_PREFIX}. */
  handle(req: IncomingMessage, res: ServerResponse): Promise<void> | undefined {
    const exchange = new HttpExchange(req, res);
    if (exchange.isOneTooMany) {
      this.#observed(req.url as string, exchange, req.headers).refuse(
        tooManyUpgradesAnswer(this.responseHeaders(this.newCallHeaders(req))),
      );
      return undefined;
    }
    return this.forward(req.url as string, callIdOf(req), exchange, req.headers);
  }

  /**
   * Makes a call for `caller`.
   * @param url starts with {@link FUNCTION_PREFIX}
   * @param callId a new one when undefined
   * @param asked headers of the request as it came, for those who are sent elsewhere and for its trace
   * @returns undefined unless the function has to be looked for, or has a policy
   */
  forward(
    url: string,
    callId: string | undefined,
    caller: Exchange,
    asked: IncomingHttpHeaders = {},
  ): Promise<void> | undefined {
    const path = parseFunctionPath(url, FUNCTION_PREFIX);
    const entry = path.kind === "function" ? this.#table.find(path.target) : undefined;
    if (this.#elsewhere && caller.caller && path.kind === "function" && (!entry || entry.policy !== undefined)) {
      this.#elsewhere(caller.caller.req, caller.caller.res);
      return undefined;
    }
    const exchange = this.#observer?.watching === true ? this.#observed(url, caller, asked) : caller;
    if (path.kind !== "function") {
      exchange.refuse(noFunctionAnswer(path, (location) => this.#pathPrefix.locate(location, asked)));
      return undefined;
    }
    const headers = callHeaders(callId, this.#userAgent);
    if (!METHODS.has(exchange.method)) {
      exchange.refuse(wrongMethodAnswer(this.responseHeaders(headers)));
      return undefined;
    }
    const call: Found = { target: path.target, url: path.url, headers, asked };
    return entry ? this.#call(entry, exchange, call) : this.#forwardLate(exchange, call);
  }

  #observed(url: string, exchange: Exchange, headers: IncomingHttpHeaders): Exchange {
    if (!this.#observer?.watching) return exchange;
    const { caller, method } = exchange;
    const kind = caller ? "call" : "stored";
    const record = this.#observer.begin({ kind, method, url, headers, client: caller && clientOf(caller.req) });
    return new ObservedExchange(exchange, record, this.#observer);
  }

  /** @returns undefined unless the function has a policy to be seen to */
  #call(entry: FunctionEntry, exchange: Exchange, call: Found): Promise<void> | undefined {
    const { policy } = entry;
    if (policy !== undefined && exchange.caller !== undefined) {
      const { url, headers } = call;
      return this.#guarded.handle(
        {
          entry: entry.function,
          policy,
          url,
          headers,
          ours: this.responseHeaders(headers),
          observed: exchange instanceof ObservedExchange ? exchange : undefined,
          start: (guarded) => this.#start(entry, guarded, call),
        },
        exchange.caller,
      );
    }
    this.#start(entry, exchange, call);
    return undefined;
  }

  #start(entry: FunctionEntry, exchange: Exchange, call: Found): void {
    const { url, headers, asked } = call;
    const wanted = asked[VERSION_HEADER] as string | undefined;
    let told: ChoiceTold | undefined;
    let chosen = entry;
    if (entry.split === undefined) {
      if (wanted !== undefined) told = ignoredVersion(entry, wanted, entry !== entry.function);
    } else if (call.target.includes("@")) told = ignoredVersion(entry, wanted, true);
    else ({ entry: chosen, told } = entry.split.choose(this.#asking(exchange, call)));
    const { mirror } = entry;
    const watched = mirror === undefined ? exchange : this.#mirrored(mirror, chosen, exchange, call);
    new FunctionCall(this.#context, chosen, watched, url, headers, told).start();
  }

  /** A call that was sent to one version by its address is not copied to another. */
  #mirrored(plan: MirrorPlan<FunctionEntry>, chosen: FunctionEntry, exchange: Exchange, call: Found): Exchange {
    if (call.target.includes("@")) return exchange;
    this.#mirrors ??= new Mirrors();
    const start = (entry: FunctionEntry, copy: Exchange) =>
      new FunctionCall(this.#context, entry, copy, call.url, call.headers, undefined).start();
    return this.#mirrors.watch(plan, { chosen, exchange, start, random: Math.random() });
  }

  /**
   * Which version a call is for that is made later.
   * @param entry found by `target`
   * @param url for the function
   */
  chooseLater(
    entry: FunctionEntry,
    target: string,
    url: string,
    asked: IncomingHttpHeaders,
  ): { readonly version?: string | undefined; readonly ignored?: string | undefined } {
    const wanted = asked[VERSION_HEADER] as string | undefined;
    if (target.includes("@")) return { version: entry.version, ...ignoredVersion(entry, wanted, true) };
    if (entry.split === undefined) return ignoredVersion(entry, wanted, false) ?? {};
    const later: AskingCall = { headers: asked, url, path: () => "/", secure: () => false };
    const { entry: chosen, asked: isPinned, told } = entry.split.choose(later);
    return { version: isPinned || entry.split.divides ? chosen.version : undefined, ignored: told.ignored };
  }

  #asking({ caller }: Exchange, { target, url, asked }: Found): AskingCall {
    return {
      headers: asked,
      url,
      path: () =>
        caller && this.#isRouted(caller.req) ? "/" : this.#pathPrefix.locate(FUNCTION_PREFIX + target, asked).location,
      secure: () => asked["x-forwarded-proto"] === "https" || caller?.req.socket instanceof TLSSocket,
    };
  }

  async #forwardLate(exchange: Exchange, call: Found): Promise<void> {
    const found = await this.#find(call.target, call.headers);
    if (exchange.left) return;
    if (found instanceof FunctionEntry) await this.#call(found, exchange, call);
    else exchange.refuse(found);
  }

  /** Finds a function that the table does not know (yet); or the answer for a call of none: 404, or 503 while nobody can tell. */
  findLate(target: string, headers: CallHeaders): Promise<FunctionEntry | PlatformAnswer> {
    return this.#find(target, headers);
  }

  async #find(target: string, headers: CallHeaders): Promise<FunctionEntry | PlatformAnswer> {
    const ours = this.responseHeaders(headers);
    const versioned = splitVersion(target);
    if (versioned) {
      // What is known of its versions may not be all yet.
      if (!this.#table.synced) await this.#untilFirstSnapshot();
      const found = this.#table.find(versioned.target) ?? (await this.#find(versioned.target, headers));
      if (!(found instanceof FunctionEntry)) return found;
      return this.#table.find(target) ?? unknownVersionAnswer(target, versioned.version, ours);
    }
    if (!this.#table.synced) {
      await this.#untilFirstSnapshot();
      const known = this.#table.find(target);
      if (known) return known;
    }
    if (!this.#table.synced) {
      const why = this.#late.silence ?? "the provider has not told which there are";
      return unsureFunctionAnswer(target, why, ours);
    }
    try {
      return (await this.#late.find(target)) ?? unknownFunctionAnswer(target, ours);
    } catch (error) {
      // The follower of the provider's stream logs that it is away.
      return unsureFunctionAnswer(target, toFaasError(error).message, ours);
    }
  }

  /** A gateway that has just begun gets its first snapshot in a moment, which callers need not notice. */
  #untilFirstSnapshot(): Promise<void> {
    this.#firstSnapshot ??= (async () => {
      while (!this.#table.synced && !this.#late.silence && performance.now() < this.#patientUntil) {
        await within(FIRST_LOOK_MS, this.#table.whenSynced);
      }
      this.#firstSnapshot = undefined;
    })();
    return this.#firstSnapshot;
  }

  responseHeaders({ callId, startTime }: CallHeaders): Record<string, string> {
    return { "x-call-id": callId, "x-start-time": startTime, "x-served-by": this.#context.servedBy };
  }

  newCallHeaders(req: IncomingMessage): CallHeaders {
    return callHeaders(callIdOf(req), this.#userAgent);
  }
}

/** The caller's own call id or a new one; the time is ours. */
function callHeaders(callId: string | undefined, userAgent: string): CallHeaders {
  return { callId: callId ?? randomUUID(), startTime: `${Date.now()}000000`, userAgent };
}

function callIdOf({ headers }: IncomingMessage): string | undefined {
  const given = headers["x-call-id"];
  return typeof given === "string" && given !== "" ? given : undefined;
}

/** Answers a request that is for no function. */
export function answerNoFunction(
  res: ServerResponse,
  path: Exclude<FunctionPath, { kind: "function" }>,
  pathPrefix: PathPrefix,
): void {
  writeAnswer(
    res,
    noFunctionAnswer(path, (location) => pathPrefix.locate(location, res.req.headers)),
  );
}
