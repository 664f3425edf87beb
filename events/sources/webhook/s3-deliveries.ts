import { FaasError } from "../../../contract/errors.ts";
import type { WebhookDelivery } from "../../webhooks/webhook-event.ts";
import { eventName, jsonObject, recordName, s3Notification } from "../aws/s3-records.ts";

/** One for each object that a store tells of; none for a notification that only tries. @throws {FaasError} `invalid` */
export function s3Deliveries(body: Buffer): readonly WebhookDelivery[] {
  const told = s3Notification(jsonObject(body.toString()));
  if (told === "test") return [];
  if (!told) throw new FaasError("invalid", "body: is no notification of a store that speaks as S3 does");
  return told.records.map((event) => ({ event, id: recordName(event), name: eventName(event) }));
}
