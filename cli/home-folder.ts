import { homedir } from "node:os";

/** The user's own; the root of the file system for one whom the system does not know, where nothing of theirs is. */
export function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return "/";
  }
}
