/**
 * The parts of `node:http` that run. An ES import of the module reads every export, among them the getter that loads
 * Node's WebSocket with all of its HTTP client: 13 MB and some milliseconds of start-up for nothing.
 */
export const { Agent, createServer, request, ServerResponse, STATUS_CODES } = process.getBuiltinModule("node:http");
