import type { StreamInfo } from "nats";
import { API_ERRORS, isApiError, type Link } from "../../../nats/connection.ts";

/** Messages by subject; none when there is no such stream. */
export async function countSubjects(link: Link, stream: string, filter: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  try {
    for (let offset = 0; ; ) {
      const request = { subjects_filter: filter, offset };
      const { state, total } = await link.api<StreamInfo>(`STREAM.INFO.${stream}`, request);
      const page = Object.entries(state.subjects ?? {});
      for (const [subject, count] of page) counts.set(subject, count);
      offset += page.length;
      if (page.length === 0 || !total || offset >= total) return counts;
    }
  } catch (error) {
    if (isApiError(error, API_ERRORS.streamNotFound)) return counts;
    throw error;
  }
}
