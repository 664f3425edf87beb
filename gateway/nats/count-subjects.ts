import type { StreamInfo } from "nats";
import type { Link } from "./connection.ts";
import { readPages } from "./pages.ts";

/** Messages by subject; none when there is no such stream. */
export async function countSubjects(link: Link, stream: string, filter: string): Promise<Map<string, number>> {
  const countsIn = ({ state }: StreamInfo) => Object.entries(state.subjects ?? {});
  return new Map(await readPages(link, `STREAM.INFO.${stream}`, { subjects_filter: filter }, countsIn));
}
