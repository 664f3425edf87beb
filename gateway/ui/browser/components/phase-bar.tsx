import { formatMs, formatShare } from "../format.ts";
import { barPieces, type TimedPhase } from "./bar-pieces.ts";

export interface PhaseBarProps {
  readonly title: string;
  readonly phases: readonly TimedPhase[];
  /** What each is called. */
  readonly words: Readonly<Record<string, string>>;
}

/** Narrower ones would not be seen. */
const LEAST_PERCENT = 0.5;

/** What time was taken for, one after the other: as a bar, and as a table of the same numbers. */
export function PhaseBar({ title, phases, words }: PhaseBarProps) {
  const pieces = barPieces(phases);
  const whole = pieces.reduce((all, { ms }) => all + ms, 0);
  const wordOf = (name: string) => words[name] ?? name;
  return (
    <>
      <svg
        class="phases"
        role="img"
        aria-label={`${title}: ${pieces.map(({ name, ms }) => `${wordOf(name)} ${formatMs(ms)}`).join(", ")}`}
      >
        {pieces.map(({ name, ms, from, share }, at) => (
          <rect
            key={name}
            class={`fill-${(at % 6) + 1}`}
            x={`${from * 100}%`}
            width={`${Math.max(ms > 0 ? LEAST_PERCENT : 0, share * 100)}%`}
            height="100%"
          />
        ))}
      </svg>
      <table>
        <caption class="hidden">{title}</caption>
        <thead>
          <tr>
            <th scope="col">Phase</th>
            <th scope="col" class="number">
              Time
            </th>
            <th scope="col" class="number">
              Share
            </th>
          </tr>
        </thead>
        <tbody>
          {pieces.map(({ name, ms, share }, at) => (
            <tr key={name}>
              <th scope="row" class={`key line-${(at % 6) + 1}`}>
                {wordOf(name)}
              </th>
              <td class="number">{formatMs(ms)}</td>
              <td class="number">{formatShare(Math.round(share * 1000) / 1000)}</td>
            </tr>
          ))}
          <tr>
            <th scope="row">Together</th>
            <td class="number">{formatMs(whole)}</td>
            <td />
          </tr>
        </tbody>
      </table>
    </>
  );
}
