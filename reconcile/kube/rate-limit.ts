/** Limits on how fast and how many requests are sent. */

/**
 * A token bucket: `perSecond` requests on average, `burst` at once. Waiters are served in the order in which they came.
 * `Infinity` switches it off.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  #tokens: number;
  #refilled: number;

  constructor(perSecond: number, burst: number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#now = now;
    this.#tokens = burst;
    this.#refilled = now();
  }

  /** Takes a token, on credit where there is none; returns the milliseconds after which it is due. */
  reserve(): number {
    if (this.#perSecond === Infinity) return 0;
    const now = this.#now();
    const earned = ((now - this.#refilled) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + earned) - 1;
    this.#refilled = now;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.#perSecond) * 1000;
  }
}

/** At most `size` pieces of work at a time, in the order in which they came. */
export class Slots {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(size: number) {
    this.#free = size;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
