/** How to log in; at most one way of them. */
export interface NatsCredentials {
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** Content of a `.creds` file. */
  readonly creds?: Uint8Array;
  /** What they are now, asked for before each login; never throws. */
  readonly renew?: () => Omit<NatsCredentials, "renew">;
}
