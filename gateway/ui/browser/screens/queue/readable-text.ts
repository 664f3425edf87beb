import { plainLine } from "../../ansi.ts";

const HEX_BYTES = 1_024;

/** Bytes as people read them: text without anything that a terminal or a page would act upon, else the first bytes in hex. */
export function readableText(bytes: Uint8Array): string {
  try {
    // The last character may have been cut.
    const text = new TextDecoder("utf-8", { fatal: true }).decode(withoutCutCharacter(bytes));
    if (!text.includes("\0")) return text.split("\n").map(plainLine).join("\n");
  } catch {
    // It is no text.
  }
  const shown = [...bytes.subarray(0, HEX_BYTES)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `No text; in hex: ${shown}${bytes.length > HEX_BYTES ? " …" : ""}`;
}

function withoutCutCharacter(bytes: Uint8Array): Uint8Array {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) return bytes;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 0;
    if (size > 0) return size > back ? bytes.subarray(0, bytes.length - back) : bytes;
  }
  return bytes;
}
