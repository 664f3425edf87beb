export interface TimedPhase {
  readonly name: string;
  readonly ms: number;
}

export interface BarPiece extends TimedPhase {
  /** Where it begins, and how long it is, of the whole: 0 to 1. */
  readonly from: number;
  readonly share: number;
}

/** Phases one after the other, as shares of all of them. */
export function barPieces(phases: readonly TimedPhase[]): readonly BarPiece[] {
  const whole = phases.reduce((all, { ms }) => all + positive(ms), 0);
  let from = 0;
  return phases.map(({ name, ms }) => {
    const share = whole === 0 ? 0 : positive(ms) / whole;
    const piece = { name, ms, from, share };
    from += share;
    return piece;
  });
}

function positive(ms: number): number {
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}
