import { FaasError } from "../../contract/errors.ts";
import type { SourceType } from "./source.ts";

/** Types of sources by name. A type is loaded when the first source of it is declared. */
export interface SourceTypes {
  readonly names: readonly string[];
  /** @throws {FaasError} `invalid` when there is no such type */
  load(type: string): Promise<SourceType>;
}

type Loaders = Readonly<Record<string, () => Promise<SourceType>>>;

const LOADERS: Loaders = {
  kafka: async () => (await import("./kafka/kafka-source.ts")).kafkaSource,
  mqtt: async () => (await import("./mqtt/mqtt-source.ts")).mqttSource,
  nats: async () => (await import("./nats/nats-source.ts")).natsSource,
  rabbitmq: async () => (await import("./rabbitmq/rabbitmq-source.ts")).rabbitSource,
};

export function sourceTypes(loaders: Loaders = LOADERS): SourceTypes {
  const names = Object.keys(loaders).sort();
  return {
    names,
    load: async (type) => {
      const loader = Object.hasOwn(loaders, type) ? loaders[type] : undefined;
      if (!loader) throw new FaasError("invalid", `source: type: must be one of ${names.join(", ")}`);
      return await loader();
    },
  };
}
