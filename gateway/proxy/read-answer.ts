import { FaasError } from "../../contract/errors.ts";

/**
 * The whole of a provider's answer as text.
 * @throws {FaasError} `upstream` when it is longer than `limitBytes`, or breaks off
 */
export async function readAnswer(body: AsyncIterable<Buffer>, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > limitBytes) break; // which closes its connection
      chunks.push(chunk);
    }
  } catch (cause) {
    throw new FaasError("upstream", "the provider's answer broke off", { cause, code: "provider_unreachable" });
  }
  if (size > limitBytes) throw new FaasError("upstream", `the provider's answer has more than ${limitBytes} bytes`);
  return Buffer.concat(chunks).toString("utf8");
}
