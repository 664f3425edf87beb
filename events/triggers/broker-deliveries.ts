import type { EventDeliverySpec } from "../../contract/events/delivery-spec.ts";
import type { BrokerRef } from "../store/event-store.ts";

/** What brokers say of the deliveries of their triggers. */
export interface BrokerDeliveries {
  deliveryOf(broker: BrokerRef): EventDeliverySpec | undefined;
  /** Resolves once it is known. @throws while the store is away */
  read(): Promise<void>;
  /** @returns ends it */
  onChange(listener: () => void): () => void;
}
