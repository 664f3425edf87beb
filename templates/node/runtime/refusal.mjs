/** A request that never reaches the handler: its `message` is sent as is, with `status`. */
export class Refusal extends Error {
  constructor(status, message, options) {
    super(message, options);
    this.status = status;
  }
}
