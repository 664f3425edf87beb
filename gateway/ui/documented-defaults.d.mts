export function readDefaults(readme: string): Record<string, string>;
