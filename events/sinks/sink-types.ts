import { decode } from "../../contract/decode.ts";
import { FaasError } from "../../contract/errors.ts";
import type { SinkSpec } from "../../contract/events/sink-spec.ts";
import type { SinkType } from "./sink.ts";

/** Types of sinks by name. A type is loaded when the first sink of it is declared. */
export interface SinkTypes {
  readonly names: readonly string[];
  /** @throws {FaasError} `invalid` when there is no such type */
  load(type: string): Promise<SinkType>;
}

type Loaders = Readonly<Record<string, () => Promise<SinkType>>>;

const LOADERS: Loaders = {
  kafka: async () => (await import("./types/kafka-sink.ts")).kafkaSink,
  mqtt: async () => (await import("./types/mqtt-sink.ts")).mqttSink,
  nats: async () => (await import("./types/nats-sink.ts")).natsSink,
  rabbitmq: async () => (await import("./types/rabbitmq-sink.ts")).rabbitSink,
  webhook: async () => (await import("./types/webhook-sink.ts")).webhookSink,
};

export function sinkTypes(loaders: Loaders = LOADERS): SinkTypes {
  const names = Object.keys(loaders).sort();
  return {
    names,
    load: async (type) => {
      const loader = Object.hasOwn(loaders, type) ? loaders[type] : undefined;
      if (!loader) throw new FaasError("invalid", `sink: type: must be one of ${names.join(", ")}`);
      return await loader();
    },
  };
}

/** @throws {FaasError} `invalid`, naming fields and rules */
export async function checkSinkSettings(
  types: SinkTypes,
  { type, settings }: SinkSpec,
): Promise<{ readonly type: SinkType; readonly settings: unknown }> {
  const found = await types.load(type);
  return { type: found, settings: decode(found.settings, settings, "sink") };
}
