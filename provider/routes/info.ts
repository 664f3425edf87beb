import type { RequestHandler } from "express";
import { sendJson } from "../../kit/respond.ts";
import type { Backend } from "../backends/backend.ts";

/** `GET /system/info` → 200. */
export function getInfo({ info }: Pick<Backend, "info">): RequestHandler {
  return (_req, res) => sendJson(res, info);
}
