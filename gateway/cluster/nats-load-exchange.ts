import type { Logger } from "../../kit/log.ts";
import { within } from "../../kit/within.ts";
import type { LoadReport } from "../core/scaling/load-book.ts";
import type { Link } from "../nats/connection.ts";
import type { LateLink } from "../nats/late-link.ts";
import type { LoadExchange } from "../scaling/load-exchange.ts";
import { encodeReport, ReportReader } from "./report-codec.ts";

const SUBJECT = "faaslane.load";
/** A server that confirms nothing for so long may hang or be cut off; the connection itself takes much longer to tell. */
const SILENT_AFTER_MS = 3_000;
const CLOSE_WITHIN_MS = 500;

/** Reports as messages of core NATS. Its connection must not echo. */
export class NatsLoadExchange implements LoadExchange {
  readonly #link: LateLink;
  readonly #log: Pick<Logger, "warn">;
  readonly #reader = new ReportReader();
  #listener: (report: LoadReport) => void = () => {};
  #reports = 0;
  /** When a report was sent that has not been confirmed, on the monotonic clock. */
  #unconfirmedSince: number | undefined;
  /** Why this gateway may not listen; undefined while it may. */
  #refused: string | undefined;
  /** Whether a malformed message has been logged; further ones are not. */
  #warned = false;

  constructor(link: LateLink, log: Pick<Logger, "warn">) {
    this.#link = link;
    this.#log = log;
    link.onOpen((opened) => this.#open(opened));
  }

  get away(): string | undefined {
    if (this.#refused !== undefined) return `the other gateways cannot be heard: ${this.#refused}`;
    if (!this.#link.connected) return "the other gateways cannot be heard: there is no connection to NATS";
    const since = this.#unconfirmedSince;
    const silent = since !== undefined && performance.now() - since > SILENT_AFTER_MS;
    return silent ? "the other gateways cannot be heard: NATS does not answer" : undefined;
  }

  publish(report: LoadReport): void {
    const link = this.#link.connected;
    // Sent later it would be wrong: the client keeps what is published without a connection.
    if (!link) return;
    try {
      for (const part of encodeReport(report, this.#reports++, link.maxPayload)) link.nc.publish(SUBJECT, part);
    } catch (err) {
      this.#log.warn({ err }, "could not share load with the other gateways");
      return;
    }
    if (this.#unconfirmedSince !== undefined) return;
    this.#unconfirmedSince = performance.now();
    const confirmed = () => {
      this.#unconfirmedSince = undefined;
    };
    // A connection that breaks confirms nothing either; then it is not connected, which says more.
    link.nc.flush().then(confirmed, confirmed);
  }

  onReport(listener: (report: LoadReport) => void): void {
    this.#listener = listener;
  }

  #open(link: Link): void {
    const listen = () => {
      this.#refused = undefined;
      link.nc.subscribe(SUBJECT, {
        callback: (err, { data }) => {
          if (err) this.#refuse(err);
          else this.#read(data);
        },
      });
    };
    // A subscription outlives its connection, unless it was refused.
    link.onReconnect(() => {
      if (this.#refused !== undefined) listen();
    });
    listen();
  }

  #refuse(err: unknown): void {
    this.#refused = `NATS does not let it subscribe to ${SUBJECT}`;
    this.#log.warn({ err, subject: SUBJECT }, "NATS denies gateways the access that they need to share their work");
  }

  #read(message: Uint8Array): void {
    let report: LoadReport | undefined;
    try {
      report = this.#reader.read(message);
    } catch (err) {
      this.#warn(err);
      return;
    }
    if (report) this.#listener(report);
  }

  #warn(err: unknown): void {
    if (!this.#warned) this.#log.warn({ err }, "dropped a malformed load report; further ones are not logged");
    this.#warned = true;
  }

  /** Resolves when the server has what was published, or does not answer soon. */
  async close(): Promise<void> {
    this.#listener = () => {};
    const flushed = this.#link.connected?.nc.flush();
    // Without a connection no report leaves: the others find out after a while.
    if (flushed) await within(CLOSE_WITHIN_MS, flushed).catch(() => undefined);
  }
}
