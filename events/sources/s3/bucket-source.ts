import type { S3Client } from "@aws-sdk/client-s3";
import { z } from "zod";
import { maybe } from "../../../contract/decode.ts";
import { parseGoDuration } from "../../../contract/duration.ts";
import { choice, lineOf, trueOrFalse } from "../../../contract/events/server-settings.ts";
import { sleep } from "../../../kit/sleep.ts";
import { SecretTexts } from "../../links/secret-texts.ts";
import { awsFailure, awsOptions, awsSettings } from "../aws/aws-client.ts";
import { ConnectorHeaders } from "../connector-headers.ts";
import { emitMessages, type MessageEvent } from "../emit-messages.ts";
import { eventOfMessage } from "../plain-message.ts";
import type { SourceContext, SourceType } from "../source.ts";
import {
  type BucketProgress,
  encodeBucketProgress,
  isKnown,
  ListedBucket,
  type ListedObject,
  objectState,
  parseBucketProgress,
} from "./bucket-progress.ts";

const MIN_INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 24 * 3600_000;
const INTERVAL_RULE = "must be a duration such as 30s, from 1s to 24h";

const bucketSettings = z.strictObject({
  bucket: lineOf("the name of a bucket"),
  /** Of the keys. */
  prefix: maybe(lineOf("a prefix of keys", 1024)),
  ...awsSettings,
  /** The bucket in the path instead of the host's name; so for an `endpoint`, unless set. */
  pathStyle: maybe(trueOrFalse),
  interval: maybe(
    z.string({ error: INTERVAL_RULE }).refine(
      (text) => {
        const ms = parseGoDuration(text);
        return ms !== undefined && ms >= MIN_INTERVAL_MS && ms <= MAX_INTERVAL_MS;
      },
      { error: INTERVAL_RULE },
    ),
  ),
  /** Whether what is there at first is news. */
  start: maybe(choice("new", "all")),
});
export type BucketSettings = z.output<typeof bucketSettings>;

const ANSWER_MS = 60_000;
const EVENT_NAME = "ObjectCreated:Put";

/** Lists a bucket of S3 again and again, and tells which objects are new or have changed. */
export const s3Source: SourceType<BucketSettings> = {
  type: "s3",
  settings: bucketSettings,
  run: async (settings, context) => {
    const secrets = new SecretTexts(context.secret);
    try {
      const options = await awsOptions(settings, secrets, ANSWER_MS);
      const sdk = await import("@aws-sdk/client-s3");
      const client = new sdk.S3Client({
        ...options,
        forcePathStyle: settings.pathStyle ?? settings.endpoint !== undefined,
      });
      try {
        await poll(settings, context, new Bucket(sdk, client, settings, context));
      } finally {
        client.destroy();
      }
    } catch (error) {
      if (!context.signal.aborted) throw awsFailure(`bucket ${settings.bucket}`, error, secrets);
    }
  },
};

async function poll({ interval = "1m" }: BucketSettings, context: SourceContext, bucket: Bucket): Promise<void> {
  const intervalMs = parseGoDuration(interval) as number;
  while (!context.signal.aborted) {
    await bucket.look();
    context.connected();
    await sleep(intervalMs, context.signal);
  }
}

class Bucket {
  readonly #sdk: typeof import("@aws-sdk/client-s3");
  readonly #client: S3Client;
  readonly #settings: BucketSettings;
  readonly #context: SourceContext;
  readonly #of: string;
  #progress: BucketProgress | undefined;
  #saved: string | undefined;
  #isLoaded = false;
  #region = "";

  constructor(
    sdk: typeof import("@aws-sdk/client-s3"),
    client: S3Client,
    settings: BucketSettings,
    context: SourceContext,
  ) {
    this.#sdk = sdk;
    this.#client = client;
    this.#settings = settings;
    this.#context = context;
    this.#of = JSON.stringify([settings.endpoint, settings.bucket, settings.prefix]);
  }

  /** Lists the bucket once. What is stored and not noted, as it fails in between, is stored once all the same. */
  async look(): Promise<void> {
    if (!this.#isLoaded) {
      this.#region = await this.#client.config.region();
      this.#saved = await this.#context.cursor.load();
      this.#progress = parseBucketProgress(this.#saved, this.#of);
      this.#isLoaded = true;
    }
    const before = this.#progress ?? (this.#settings.start === "all" ? NOTHING : undefined);
    const listed = new ListedBucket(this.#progress, this.#context.now());
    for await (const page of this.#pages()) {
      const fresh = before ? page.filter((object) => !isKnown(before, object)) : [];
      await emitMessages(
        this.#context,
        fresh.map((object) => this.#event(object)),
      );
      for (const object of page) listed.add(object);
    }
    if (this.#context.signal.aborted) return;
    const progress = listed.progress(this.#of);
    const text = encodeBucketProgress(progress);
    if (text !== this.#saved) await this.#context.cursor.save(text);
    this.#saved = text;
    this.#progress = progress;
  }

  async *#pages(): AsyncGenerator<readonly ListedObject[]> {
    const { bucket, prefix } = this.#settings;
    const { signal } = this.#context;
    let from: string | undefined;
    do {
      const command = new this.#sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: from });
      const { Contents = [], NextContinuationToken } = await this.#client.send(command, { abortSignal: signal });
      yield Contents.map(({ Key = "", ETag = "", Size = 0, LastModified }) => ({
        key: Key,
        etag: ETag.replaceAll('"', ""),
        size: Size,
        modifiedMs: LastModified?.getTime() ?? 0,
      }));
      from = NextContinuationToken;
    } while (from !== undefined && !signal.aborted);
  }

  /** As a notification of the bucket would tell of it. */
  #event(object: ListedObject): MessageEvent {
    const { key, etag, size, modifiedMs } = object;
    const { bucket } = this.#settings;
    const state = objectState(object);
    const record = {
      eventVersion: "2.1",
      eventSource: "aws:s3",
      awsRegion: this.#region,
      eventTime: new Date(modifiedMs).toISOString(),
      eventName: EVENT_NAME,
      s3: {
        s3SchemaVersion: "1.0",
        bucket: { name: bucket, arn: `arn:aws:s3:::${bucket}` },
        object: { key: encodeURIComponent(key).replaceAll("%20", "+"), size, eTag: etag },
      },
    };
    return {
      event: eventOfMessage({
        type: `com.amazonaws.s3.${EVENT_NAME}`,
        source: `aws:s3.${this.#region}.${bucket}`,
        id: state,
        subject: key,
        timeMs: modifiedMs,
        contentType: "application/json",
        data: Buffer.from(JSON.stringify(record)),
      }),
      topic: bucket,
      headers: new ConnectorHeaders("faaslane/s3", bucket).list,
      once: `${bucket}/${state}`,
      from: `the object ${key} of the bucket ${bucket}`,
    };
  }
}

/** So everything is new. */
const NOTHING: BucketProgress = { of: "", floor: 0, seen: new Set() };
