/** As many bytes as the algorithm looks at. */
const SNIFF_BYTES = 512;

type Signature = readonly [type: string, pattern: string, mask?: string];

/** Markup may be preceded by white space, and must be followed by a space or `>`. */
const MARKUP = [
  "<!DOCTYPE HTML", "<HTML", "<HEAD", "<SCRIPT", "<IFRAME", "<H1", "<DIV", "<FONT", "<TABLE", "<A", "<STYLE", "<TITLE",
  "<B", "<BODY", "<BR", "<P", "<!--",
]; // biome-ignore format: a table reads better packed

/** Leading bytes in Latin-1; `?` in the mask is any byte. */
const SIGNATURES: readonly Signature[] = [
  ["application/pdf", "%PDF-"],
  ["application/postscript", "%!PS-Adobe-"],
  ["text/plain; charset=utf-16be", "\xfe\xff"],
  ["text/plain; charset=utf-16le", "\xff\xfe"],
  ["text/plain; charset=utf-8", "\xef\xbb\xbf"],
  ["image/x-icon", "\x00\x00\x01\x00"],
  ["image/x-icon", "\x00\x00\x02\x00"],
  ["image/bmp", "BM"],
  ["image/gif", "GIF87a"],
  ["image/gif", "GIF89a"],
  ["image/webp", "RIFF....WEBPVP", "    ????      "],
  ["image/png", "\x89PNG\r\n\x1a\n"],
  ["image/jpeg", "\xff\xd8\xff"],
  ["audio/aiff", "FORM....AIFF", "    ????    "],
  ["audio/mpeg", "ID3"],
  ["application/ogg", "OggS\x00"],
  ["audio/midi", "MThd\x00\x00\x00\x06"],
  ["video/avi", "RIFF....AVI ", "    ????    "],
  ["audio/wave", "RIFF....WAVE", "    ????    "],
  ["video/webm", "\x1a\x45\xdf\xa3"],
  ["font/ttf", "\x00\x01\x00\x00"],
  ["font/otf", "OTTO"],
  ["font/collection", "ttcf"],
  ["font/woff", "wOFF"],
  ["font/woff2", "wOF2"],
  ["application/x-gzip", "\x1f\x8b\x08"],
  ["application/zip", "PK\x03\x04"],
  ["application/x-rar-compressed", "Rar!\x1a\x07\x00"],
  ["application/x-rar-compressed", "Rar!\x1a\x07\x01\x00"],
  ["application/wasm", "\x00asm"],
];

/**
 * The media type of content that came without one, as browsers guess it.
 * @see https://mimesniff.spec.whatwg.org
 */
export function sniffContentType(content: Buffer): string {
  const head = content.subarray(0, SNIFF_BYTES).toString("latin1");
  const trimmed = head.replace(/^[\t\n\f\r ]+/, "");
  const upper = trimmed.toUpperCase();
  if (MARKUP.some((tag) => upper.startsWith(tag) && (tag === "<!--" || /^[ >]/.test(trimmed.slice(tag.length))))) {
    return "text/html; charset=utf-8";
  }
  if (trimmed.startsWith("<?xml")) return "text/xml; charset=utf-8";
  const found = SIGNATURES.find((signature) => matches(head, signature));
  if (found !== undefined) return found[0];
  if (isMp4(content)) return "video/mp4";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these bytes are what tells binary data from text
  return /[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]/.test(head) ? "application/octet-stream" : "text/plain; charset=utf-8";
}

function matches(head: string, [, pattern, mask]: Signature): boolean {
  if (mask === undefined) return head.startsWith(pattern);
  if (head.length < pattern.length) return false;
  for (let i = 0; i < pattern.length; i++) if (mask[i] !== "?" && head[i] !== pattern[i]) return false;
  return true;
}

/** A box `ftyp` whose major or compatible brands begin with `mp4`. */
function isMp4(content: Buffer): boolean {
  if (content.length < 12 || content.toString("latin1", 4, 8) !== "ftyp") return false;
  const boxBytes = content.readUInt32BE(0);
  if (boxBytes > content.length || boxBytes % 4 !== 0) return false;
  for (let at = 8; at < boxBytes; at += 4) {
    if (at !== 12 && content.toString("latin1", at, at + 3) === "mp4") return true; // at 12 stands the minor version
  }
  return false;
}
