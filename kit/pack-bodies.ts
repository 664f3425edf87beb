/** Lays bodies one after another into one buffer. */
export function packBodies(bodies: readonly Uint8Array[]): ArrayBuffer {
  let size = 0;
  for (const body of bodies) size += body.byteLength;
  const packed = new Uint8Array(size);
  let at = 0;
  for (const body of bodies) {
    packed.set(body, at);
    at += body.byteLength;
  }
  return packed.buffer;
}
