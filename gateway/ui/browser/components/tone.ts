/** Signs of states. */
export const SIGNS = { good: "✓", busy: "…", warn: "!", bad: "✕", idle: "○" } as const;

export type Tone = keyof typeof SIGNS;
