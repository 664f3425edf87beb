import { readFile } from "node:fs/promises";
import type { RequestHandler } from "express";
import { sendJson } from "../../kit/respond.ts";

const SOURCE = new URL("../../docs/openapi.yaml", import.meta.url);

/** `GET /system/openapi.json`: the routes, for programs. Read at the first request. */
export function openapiRoute(): RequestHandler {
  let document: Promise<unknown> | undefined;
  return async (_req, res) => {
    document ??= readDocument();
    try {
      sendJson(res, await document);
    } catch (error) {
      document = undefined;
      throw error;
    }
  };
}

async function readDocument(): Promise<unknown> {
  const { parse } = await import("yaml");
  return parse(await readFile(SOURCE, "utf8"));
}
