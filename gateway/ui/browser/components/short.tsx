import { shorten } from "../format.ts";

export interface ShortProps {
  readonly text: string;
  readonly most?: number;
}

/** A name whose middle is left out where it is long; all of it while the pointer or the focus is on the link around it. */
export function Short({ text, most = 40 }: ShortProps) {
  const short = shorten(text, most);
  if (short === text) return <bdi>{text}</bdi>;
  return (
    <span class="short" title={text}>
      <bdi aria-hidden="true">{short}</bdi>
      <bdi class="whole">{text}</bdi>
    </span>
  );
}
