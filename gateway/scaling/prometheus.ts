import { request } from "undici";
import { z } from "zod";
import { parseJson } from "../../contract/decode.ts";

const TIMEOUT_MS = 2_000;
const MAX_ANSWER_BYTES = 1024 * 1024;

const sample = z.tuple([z.number(), z.string()]);
const answer = z.object({
  status: z.literal("success"),
  data: z.discriminatedUnion("resultType", [
    z.object({ resultType: z.literal("scalar"), result: sample }),
    z.object({ resultType: z.literal("vector"), result: z.array(z.object({ value: sample })) }),
  ]),
});
const refusal = z.object({ status: z.literal("error"), error: z.string() });

/**
 * Asks Prometheus for the value of an expression now; of a vector, the sum of its elements.
 * @throws {Error} when it does not answer in time, refuses the expression, or has no value for it
 */
export async function queryPrometheus(base: URL, expression: string): Promise<number> {
  const url = new URL("api/v1/query", base);
  const { body } = await request(url, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ query: expression, timeout: `${TIMEOUT_MS}ms` }).toString(),
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  let text = "";
  for await (const chunk of body.setEncoding("utf8")) {
    text += chunk as string;
    if (text.length > MAX_ANSWER_BYTES) throw new Error("Prometheus's answer is too large");
  }
  return readAnswer(text);
}

function readAnswer(text: string): number {
  let json: unknown;
  try {
    json = parseJson(text, "answer");
  } catch (cause) {
    throw new Error("Prometheus's answer is not JSON", { cause });
  }
  const refused = refusal.safeParse(json);
  if (refused.success) throw new Error(`Prometheus refused the query: ${refused.data.error}`);
  const { data, error } = answer.safeParse(json);
  if (!data) throw new Error("Prometheus's answer is not a number", { cause: error });
  const samples = data.data.resultType === "scalar" ? [data.data.result] : data.data.result.map(({ value }) => value);
  if (samples.length === 0) throw new Error("the query has no value now");
  const value = samples.reduce((sum, [, number]) => sum + Number(number), 0);
  if (!Number.isFinite(value)) throw new Error(`the query's value is ${value}`);
  return value;
}
