import type { RequestHandler } from "express";
import type { Backend } from "../backends/backend.ts";
import { sendJson } from "../kit/respond.ts";

/** `GET /system/info` → 200. */
export function getInfo({ info }: Pick<Backend, "info">): RequestHandler {
  return (_req, res) => sendJson(res, info);
}
