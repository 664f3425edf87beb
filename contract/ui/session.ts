/** Header with the token of a session; a cookie alone opens nothing. */
export const SESSION_HEADER = "x-faaslane-session";

/** Header of what the page asks by itself while nobody uses it: a session that nobody uses is to end. */
export const UNATTENDED_HEADER = "x-faaslane-unattended";

/** `GET /ui/api/session`: what the page has to know before anybody has signed in. */
export interface UiSession {
  /** `open`: nobody has to sign in. */
  readonly state: "open" | "signedIn" | "signedOut";
  readonly user?: string;
  /** To be sent as {@link SESSION_HEADER}. Told when somebody signs in; later only where functions have another origin. */
  readonly token?: string;
  /** Milliseconds since the epoch: when it ends whatever is done, and when it ends unless something is done. */
  readonly endsAt?: number;
  readonly idleEndsAt?: number;
  readonly readOnly: boolean;
  /** Of the gateway; told to those who have signed in. */
  readonly release?: string;
  /** Of the page's files: another one wants a reload. */
  readonly build: string;
  /** Milliseconds since the epoch, by the gateway's clock. */
  readonly now: number;
  readonly defaultNamespace: string;
  /** Whether no function answers at the page's origin: what its tabs tell each other, nobody else hears. */
  readonly ownOrigin: boolean;
  /** What this gateway has; of the provider `GET /system/info` tells. The page explains what is not there. */
  readonly features: UiFeatures;
}

export interface UiFeatures {
  readonly queue: boolean;
  readonly events: boolean;
}

/** Body of `POST /ui/api/session`. */
export interface UiLogin {
  readonly user: string;
  readonly password: string;
}
