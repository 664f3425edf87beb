import { DatabaseFile } from "../../../../kit/database-file.ts";
import { BrokerTable } from "./broker-table.ts";
import { DeliveryTable } from "./delivery-table.ts";
import { EventTable } from "./event-table.ts";
import { ResourceTable } from "./resource-table.ts";
import { prepareEventDatabase } from "./schema.ts";

/** The events' file. */
export class EventFile extends DatabaseFile {
  readonly brokers: BrokerTable;
  readonly events: EventTable;
  readonly deliveries: DeliveryTable;
  readonly resources: ResourceTable;

  /** @throws {Error} when the file is locked, damaged, someone else's or of another schema */
  constructor(path: string, maxBytes: number) {
    super(path, maxBytes, prepareEventDatabase);
    this.brokers = new BrokerTable(this.db);
    this.events = new EventTable(this.db, this.brokers);
    this.deliveries = new DeliveryTable(this.db, this.brokers);
    this.resources = new ResourceTable(this.db);
  }

  /** Runs `change` and commits it, or leaves everything as it was, in memory too, and throws what it threw. */
  transaction<T>(change: () => T, flush: boolean): T {
    try {
      return this.db.transaction(() => {
        const result = change();
        this.brokers.flush();
        this.events.flush();
        this.deliveries.flush();
        return result;
      }, flush);
    } catch (error) {
      this.brokers.reload();
      this.events.reload();
      this.deliveries.reload();
      throw error;
    }
  }
}
