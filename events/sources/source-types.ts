import { FaasError } from "../../contract/errors.ts";
import type { SourceType } from "./source.ts";

/** Types of sources by name. A type is loaded when the first source of it is declared. */
export interface SourceTypes {
  /** Those that can be declared. */
  readonly names: readonly string[];
  /** @throws {FaasError} `invalid` when there is no such type */
  load(type: string): Promise<SourceType>;
}

type Loaders = Readonly<Record<string, () => Promise<SourceType>>>;

const LOADERS: Loaders = {
  cron: async () => (await import("./cron/cron-source.ts")).cronSource,
  "cron-function": async () => (await import("./cron/function-cron.ts")).functionCron,
  "http-poll": async () => (await import("./http-poll/http-poll-source.ts")).httpPollSource,
  kafka: async () => (await import("./kafka/kafka-source.ts")).kafkaSource,
  kubernetes: async () => (await import("./kubernetes/kubernetes-source.ts")).kubernetesSource,
  mqtt: async () => (await import("./mqtt/mqtt-source.ts")).mqttSource,
  nats: async () => (await import("./nats/nats-source.ts")).natsSource,
  postgres: async () => (await import("./postgres/postgres-source.ts")).postgresSource,
  rabbitmq: async () => (await import("./rabbitmq/rabbitmq-source.ts")).rabbitSource,
  redis: async () => (await import("./redis/redis-source.ts")).redisSource,
  s3: async () => (await import("./s3/bucket-source.ts")).s3Source,
  sqs: async () => (await import("./sqs/sqs-source.ts")).sqsSource,
  webhook: async () => (await import("./webhook/webhook-source.ts")).webhookSource,
};
/** Only functions' annotations ask for these. */
const BY_ANNOTATIONS: ReadonlySet<string> = new Set(["cron-function"]);

export function sourceTypes(loaders: Loaders = LOADERS): SourceTypes {
  const names = Object.keys(loaders)
    .filter((name) => !BY_ANNOTATIONS.has(name))
    .sort();
  return {
    names,
    load: async (type) => {
      const loader = Object.hasOwn(loaders, type) ? loaders[type] : undefined;
      if (!loader) throw unknownType(names);
      return await loader();
    },
  };
}

/** @throws {FaasError} `invalid` for a type that nobody can declare */
export function requireDeclarable({ names }: Pick<SourceTypes, "names">, type: string): void {
  if (!names.includes(type)) throw unknownType(names);
}

function unknownType(names: readonly string[]): FaasError {
  return new FaasError("invalid", `source: type: must be one of ${names.join(", ")}`);
}
