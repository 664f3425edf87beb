import { hostname } from "node:os";
import { isAbsolute } from "node:path";
import type { EnvReader } from "../../kit/env.ts";
import { integerFrom, oneOf, parseText } from "../../kit/parse.ts";
import { buildSampler, SAMPLERS, type Sampler, type SamplerName } from "../telemetry/sampler.ts";

/** Where lines of calls go: nowhere, to standard output, or to the end of a file. */
export type AccessLogConfig =
  | { readonly kind: "off" }
  | { readonly kind: "stdout" }
  | { readonly kind: "file"; readonly path: string };

export interface TracingConfig {
  readonly url: URL;
  /** For the collector; secrets mostly. */
  readonly headers: Readonly<Record<string, string>>;
  readonly gzip: boolean;
  readonly timeoutMs: number;
  readonly sampler: Sampler;
  /** Attributes of who the spans are of, without those that are found out. */
  readonly resource: Readonly<Record<string, string>>;
  readonly maxQueue: number;
  readonly maxBatch: number;
  readonly delayMs: number;
}

/** @throws when it is neither a switch nor an absolute path */
export function parseAccessLog(text: string): AccessLogConfig {
  if (text === "false") return { kind: "off" };
  if (text === "true") return { kind: "stdout" };
  if (!isAbsolute(text)) throw new Error("must be true, false or the absolute path of a file");
  return { kind: "file", path: text };
}

/**
 * OpenTelemetry's own variables, as far as they concern traces over OTLP.
 * @param service name of this process where none is given
 * @returns undefined unless a collector is named, and traces are not switched off
 */
export function readTracingConfig(read: EnvReader, service: string): TracingConfig | undefined {
  const endpoint = read.optional("OTEL_EXPORTER_OTLP_ENDPOINT", parseEndpoint);
  const tracesEndpoint = read.optional("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", parseEndpoint);
  const disabled = read.optional("OTEL_SDK_DISABLED", parseSwitch) ?? false;
  const exporter = read.optional("OTEL_TRACES_EXPORTER", oneOf("otlp", "none")) ?? "otlp";
  const either = <T>(name: string, parse: (text: string) => T): T | undefined => {
    const general = read.optional(`OTEL_EXPORTER_OTLP_${name}`, parse);
    return read.optional(`OTEL_EXPORTER_OTLP_TRACES_${name}`, parse) ?? general;
  };
  either("PROTOCOL", parseProtocol);
  const headers = either("HEADERS", parseHeaders) ?? {};
  const compression = either("COMPRESSION", oneOf("none", "gzip")) ?? "none";
  const timeoutMs = either("TIMEOUT", milliseconds) ?? 10_000;
  const name = read.optional("OTEL_TRACES_SAMPLER", oneOf<SamplerName>(...SAMPLERS)) ?? "parentbased_always_on";
  const ratio = read.optional("OTEL_TRACES_SAMPLER_ARG", parseRatio) ?? 1;
  const attributes = read.optional("OTEL_RESOURCE_ATTRIBUTES", parseAttributes) ?? {};
  const serviceName = read.optional("OTEL_SERVICE_NAME", parseText) ?? attributes["service.name"] ?? service;
  const maxQueue = read.optional("OTEL_BSP_MAX_QUEUE_SIZE", atMost(MAX_QUEUE)) ?? 2_048;
  const maxBatch = read.optional("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", atMost(MAX_BATCH)) ?? 512;
  const delayMs = read.optional("OTEL_BSP_SCHEDULE_DELAY", milliseconds) ?? 5_000;

  const url = tracesEndpoint ?? (endpoint && new URL("v1/traces", withSlash(endpoint)));
  if (!url || disabled || exporter === "none" || name === "always_off") return undefined;
  return {
    url,
    headers,
    gzip: compression === "gzip",
    timeoutMs,
    sampler: buildSampler(name, ratio),
    resource: { "host.name": hostname(), ...attributes, "service.name": serviceName },
    maxQueue,
    maxBatch: Math.min(maxBatch, maxQueue),
    delayMs,
  };
}

/** Spans of a call are about three, and each is a kilobyte or so. */
const MAX_QUEUE = 100_000;
/** A larger batch would hold up calls while it is encoded. */
const MAX_BATCH = 4_096;
const MAX_WAIT_MS = 3600e3;

function parseEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // Not what was written: it may hold credentials.
  if (url?.protocol !== "http:" && url?.protocol !== "https:") throw new Error("must be an http or https URL");
  return url;
}

function withSlash(url: URL): URL {
  const slashed = new URL(url);
  if (!slashed.pathname.endsWith("/")) slashed.pathname += "/";
  return slashed;
}

/** `http/protobuf` is what everybody sets: those who take it take JSON at the same address. */
function parseProtocol(text: string): void {
  if (text !== "http/json" && text !== "http/protobuf")
    throw new Error("must be http/json or http/protobuf: there is no grpc");
}

function parseSwitch(text: string): boolean {
  const lower = text.toLowerCase();
  if (lower !== "true" && lower !== "false") throw new Error("must be true or false");
  return lower === "true";
}

function parseRatio(text: string): number {
  const ratio = /^(?:\d+(?:\.\d+)?|\.\d+)(?:e-\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (!(ratio >= 0 && ratio <= 1)) throw new Error("must be a number from 0 to 1");
  return ratio;
}

function milliseconds(text: string): number {
  const value = integerFrom(1)(text);
  if (value > MAX_WAIT_MS) throw new Error(`must be at most ${MAX_WAIT_MS} milliseconds`);
  return value;
}

function atMost(max: number): (text: string) => number {
  return (text) => {
    const value = integerFrom(1)(text);
    if (value > max) throw new Error(`must be at most ${max}`);
    return value;
  };
}

const TOKEN = /^[!#$%&'*+\-.^_`|~\da-z]+$/i;
const FIELD_VALUE = /^[\t\x20-\x7e]*$/;

/** `name=value,name=value`, percent-encoded. Messages hold nothing of it: the values are secrets. */
function parsePairs(text: string, rule: string): [name: string, value: string][] {
  return text
    .split(",")
    .filter((part) => part.trim() !== "")
    .map((part) => {
      const at = part.indexOf("=");
      try {
        if (at < 1) throw new Error("no pair");
        return [decodeURIComponent(part.slice(0, at).trim()), decodeURIComponent(part.slice(at + 1).trim())];
      } catch {
        throw new Error(rule);
      }
    });
}

function parseHeaders(text: string): Record<string, string> {
  const rule = "must be name=value pairs with commas between them, percent-encoded";
  const pairs = parsePairs(text, rule);
  if (!pairs.every(([name, value]) => TOKEN.test(name) && FIELD_VALUE.test(value))) throw new Error(rule);
  return Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value]));
}

function parseAttributes(text: string): Record<string, string> {
  return Object.fromEntries(parsePairs(text, "must be key=value pairs with commas between them, percent-encoded"));
}
