import type { IncomingMessage, ServerResponse } from "node:http";

/** The function of the recordings. */
export default function reflect(req: IncomingMessage, res: ServerResponse): Promise<void>;
