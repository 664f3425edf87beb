import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, timingSafeEqual } from "node:crypto";
import { poly1305 } from "./poly1305.ts";
import { deriveSalsaKey, xorSalsa20 } from "./salsa20.ts";

/** Keys of X25519, 32 bytes each. */
export interface KeyPair {
  readonly publicKey: Buffer;
  readonly privateKey: Buffer;
}

export const KEY_BYTES = 32;
export const NONCE_BYTES = 24;
const TAG_BYTES = 16;

/** What comes before the bytes of a key in the DER forms that Node reads. @see RFC 8410 */
const PRIVATE_HEAD = Buffer.from("302e020100300506032b656e04220420", "hex");
const PUBLIC_HEAD = Buffer.from("302a300506032b656e032100", "hex");

export function generateKeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  return {
    publicKey: publicKey.export({ type: "spki", format: "der" }).subarray(PUBLIC_HEAD.length),
    privateKey: privateKey.export({ type: "pkcs8", format: "der" }).subarray(PRIVATE_HEAD.length),
  };
}

/** The public key that belongs to a private one. */
export function publicKeyOf(privateKey: Uint8Array): Buffer {
  const key = createPublicKey(privateKeyObject(privateKey));
  return key.export({ type: "spki", format: "der" }).subarray(PUBLIC_HEAD.length);
}

/**
 * Encrypts for the owner of `theirs`, as NaCl's `crypto_box` does: X25519, XSalsa20 and Poly1305.
 * @param nonce never used twice between the same two keys
 * @see https://nacl.cr.yp.to/box.html
 */
export function sealBox(message: Uint8Array, nonce: Uint8Array, theirs: Uint8Array, ours: Uint8Array): Buffer {
  const { key, rest } = subkey(theirs, ours, nonce);
  // The first 32 bytes of the stream are the key of the tag.
  const stream = xorSalsa20(Buffer.concat([Buffer.alloc(32), message]), key, rest);
  const sealed = stream.subarray(32);
  return Buffer.concat([poly1305(sealed, stream.subarray(0, 32)), sealed]);
}

/** What {@link sealBox} was given; undefined when it was not made by the owner of `theirs` for the owner of `ours`. */
export function openBox(box: Uint8Array, nonce: Uint8Array, theirs: Uint8Array, ours: Uint8Array): Buffer | undefined {
  if (box.length < TAG_BYTES || nonce.length !== NONCE_BYTES) return undefined;
  let derived: ReturnType<typeof subkey>;
  try {
    derived = subkey(theirs, ours, nonce);
  } catch {
    // A public key that nobody can have made: it would give the same secret to everybody.
    return undefined;
  }
  const { key, rest } = derived;
  const sealed = box.subarray(TAG_BYTES);
  const tagKey = xorSalsa20(Buffer.alloc(32), key, rest);
  if (!timingSafeEqual(poly1305(sealed, tagKey), box.subarray(0, TAG_BYTES))) return undefined;
  return xorSalsa20(Buffer.concat([Buffer.alloc(32), sealed]), key, rest).subarray(32);
}

function subkey(theirs: Uint8Array, ours: Uint8Array, nonce: Uint8Array) {
  const publicKey = createPublicKey({ key: Buffer.concat([PUBLIC_HEAD, theirs]), format: "der", type: "spki" });
  const shared = diffieHellman({ privateKey: privateKeyObject(ours), publicKey });
  const first = deriveSalsaKey(shared, Buffer.alloc(16));
  return { key: deriveSalsaKey(first, nonce.subarray(0, 16)), rest: nonce.subarray(16, NONCE_BYTES) };
}

function privateKeyObject(bytes: Uint8Array) {
  return createPrivateKey({ key: Buffer.concat([PRIVATE_HEAD, bytes]), format: "der", type: "pkcs8" });
}
