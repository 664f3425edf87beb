import type { LoadReport } from "../core/scaling/load-book.ts";

/** How gateways tell each other what they see. A gateway alone needs none. */
export interface LoadExchange {
  /** Tells all others. What cannot be sent now is lost: a newer report follows. */
  publish(report: LoadReport): void;
  /** @param listener gets the reports of the others */
  onReport(listener: (report: LoadReport) => void): void;
  /** Why the others cannot be heard at present; undefined when they can. */
  readonly away: string | undefined;
  close(): Promise<void>;
}

/** Of several gateways one acts. */
export interface Leadership {
  /** Whether this one does. False at once when that is in doubt. */
  readonly leading: boolean;
  /** Name of the one that does, where it is known. */
  readonly leader: string | undefined;
  close(): Promise<void>;
}
