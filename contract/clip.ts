/** `text`, or its beginning when it is long: an answer quotes what is wrong, however much of it was sent. */
export function clip(text: string, maxChars: number): string {
  return text.length > maxChars ? `${text.slice(0, maxChars)}…` : text;
}

const MAX_PROBLEMS = 20;
const MAX_PROBLEM_CHARS = 300;

/** Broken rules as one text; of very many the first ones and how many there are. */
export function listProblems(problems: readonly string[]): string {
  const shown = problems.slice(0, MAX_PROBLEMS).map((problem) => clip(problem, MAX_PROBLEM_CHARS));
  const more = problems.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}
