import type { Request, RequestHandler } from "express";
import { decodeAnnouncement } from "../../contract/announce.ts";
import { FaasError } from "../../contract/errors.ts";
import { bodyJson, rawBody } from "../../kit/respond.ts";
import type { Backend } from "../backends/backend.ts";
import type { RateLimit } from "./rate-limit.ts";

/** An announcement with the longest names there are is far smaller. */
const MAX_BODY_BYTES = 4 * 1024;

/**
 * `POST /announce` with a function's own token as a bearer and an {@link decodeAnnouncement announcement}: a replica
 * takes calls, at the address that it calls from. → 202; 401 alike for unknown functions and tokens that are not
 * theirs; fails as `invalid`, `tooLarge` or `overloaded`.
 */
export function announceReplica(announce: NonNullable<Backend["announce"]>, limit: RateLimit): RequestHandler[] {
  const check: RequestHandler = (req, _res, next) => {
    // Before anything is read: who must not be heard should cost nothing.
    if (!limit.take(callerOf(req))) throw new FaasError("overloaded", "too many announcements");
    if (bearerOf(req) === undefined) throw new FaasError("unauthorized", "invalid token");
    next();
  };
  const handle: RequestHandler = (req, res) => {
    const announcement = decodeAnnouncement(bodyJson(req, "announcement"));
    if (!announce(announcement, callerOf(req), bearerOf(req) ?? "")) {
      throw new FaasError("unauthorized", "invalid token");
    }
    res.status(202).end();
  };
  return [check, rawBody(MAX_BODY_BYTES), handle];
}

function bearerOf({ headers }: Request): string | undefined {
  return /^bearer +([\x21-\x7e]{1,256})$/i.exec(headers.authorization ?? "")?.[1];
}

/** Of the connection itself: what a header says anybody can write. */
function callerOf({ socket }: Request): string {
  return (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.)/i, "");
}
