/** Calls at one replica, or those of one function that wait: a number that all threads of the gateway share. */
export interface Occupancy {
  /** Of all threads. */
  readonly count: number;
  /**
   * Adds one here.
   * @param limit what all threads together may have; 0 for no limit
   * @returns whether there was room
   */
  enter(limit: number): boolean;
  /** Takes away one that was added here. */
  leave(): void;
  /** None is added here any more; those that are there still leave. */
  close(): void;
}

/** Where the numbers are that threads share. Functions are written `name.namespace`. */
export interface Occupancies {
  ofReplica(functionName: string, address: string): Occupancy;
  /** Calls that wait for a replica. */
  ofWaiting(functionName: string): Occupancy;
}

/** The number of a gateway that is one thread. */
export class OwnOccupancy implements Occupancy {
  count = 0;

  enter(limit: number): boolean {
    if (limit > 0 && this.count >= limit) return false;
    this.count++;
    return true;
  }

  leave(): void {
    this.count--;
  }

  close(): void {}
}

export const OWN_OCCUPANCIES: Occupancies = {
  ofReplica: () => new OwnOccupancy(),
  ofWaiting: () => new OwnOccupancy(),
};
