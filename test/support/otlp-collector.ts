import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly SentAttribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[];
  }[];
}

interface SentAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number | boolean>>;
}

interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly SentAttribute[];
  readonly events?: readonly { readonly name: string; readonly timeUnixNano: string }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status?: { readonly code: number };
}

/** A span as a collector gets it. */
export interface CollectedSpan extends Omit<SentSpan, "attributes"> {
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly resource: Readonly<Record<string, string | number | boolean>>;
}

/** A collector of OTLP over HTTP as JSON, at a port of its own. */
export class OtlpCollector {
  readonly spans: CollectedSpan[] = [];
  /** Headers of each request. */
  readonly requests: IncomingHttpHeaders[] = [];
  /** Answers in place of it, which then keeps nothing. */
  respond: RequestListener | undefined;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((req, res) => {
      this.requests.push(req.headers);
      if (this.respond) {
        this.respond(req, res);
        return;
      }
      void (async () => {
        const raw = Buffer.concat(await req.toArray());
        const body = req.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
        if (req.url === "/v1/traces") this.#keep(JSON.parse(body.toString()) as Sent);
        res.setHeader("content-type", "application/json").end("{}");
      })();
    });
  }

  static async open(): Promise<OtlpCollector> {
    const collector = new OtlpCollector();
    await new Promise<void>((resolve) => collector.#server.listen(0, "127.0.0.1", resolve));
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  named(name: string): CollectedSpan | undefined {
    return this.spans.find((span) => span.name === name);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #keep({ resourceSpans }: Sent): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        this.spans.push({ ...span, attributes: valuesOf(span.attributes), resource: valuesOf(resource.attributes) });
      }
    }
  }
}

function valuesOf(attributes: readonly SentAttribute[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [kind, plain] = Object.entries(value)[0] as [string, string | number | boolean];
      return [key, kind === "intValue" ? Number(plain) : plain];
    }),
  );
}

/** The settings that make a gateway or a worker export to `collector` at once. */
export function exportTo({ url }: Pick<OtlpCollector, "url">): Record<string, string> {
  return { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: "20" };
}
