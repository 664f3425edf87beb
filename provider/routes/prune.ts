import type { RequestHandler } from "express";
import { FaasError } from "../../contract/errors.ts";
import { decodePruneRequest } from "../../contract/prune.ts";
import { bodyJson, sendJson } from "../../kit/respond.ts";
import type { ImageStore } from "../backends/backend.ts";

/** `POST /system/prune` with `{ all?, dryRun? }` → 200 with what went; fails as `invalid` or `unsupported`. */
export function pruneImages(images: ImageStore | undefined): RequestHandler {
  return async (req, res) => {
    if (!images) throw new FaasError("unsupported", "prune: this provider has no images of its own");
    sendJson(res, await images.prune(decodePruneRequest(bodyJson(req, "prune"))));
  };
}
