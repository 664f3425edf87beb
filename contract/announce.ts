import { z } from "zod";
import { decode } from "./decode.ts";

const name = z.string().min(1).max(253);
/** A clock that says more is broken. */
const MAX_MS = 365 * 86_400_000;
const milliseconds = z.number().min(0).max(MAX_MS);

const announcement = z
  .object({
    name,
    namespace: name,
    /** The replica's own name. */
    instance: name,
    /** How long its process runs. */
    uptimeMs: milliseconds,
    /** What that was when the function began to take calls. */
    listeningMs: milliseconds,
  })
  .refine(({ uptimeMs, listeningMs }) => listeningMs <= uptimeMs, {
    path: ["listeningMs"],
    message: "must not be later than uptimeMs",
  });
/** Body of `POST /announce`: a replica takes calls, at the address that this comes from. */
export type Announcement = z.output<typeof announcement>;

/** @throws {FaasError} `invalid` */
export function decodeAnnouncement(value: unknown): Announcement {
  return decode(announcement, value, "announcement");
}
