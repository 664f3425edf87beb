/** A place in the log of a server, as it is written by the server, e.g. `0/16B3748`. */
export function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();
}

/** @param text as the server writes it, with or without zeros in front */
export function lsnOf(text: string): bigint {
  const [high = "0", low = "0"] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** As texts they sort as the places do. */
export function paddedLsn(lsn: bigint): string {
  return lsn.toString(16).toUpperCase().padStart(16, "0");
}
