/** How many VMs are in change at one time. */
export class Slots {
  #free: number;
  readonly #queue: (() => void)[] = [];

  constructor(count: number) {
    this.#free = Math.max(1, Math.floor(count));
  }

  /** Takes a slot, in order of asking; false where `signal` aborts before one is free. */
  async take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    return await new Promise((resolve) => {
      const granted = (): void => {
        signal.removeEventListener('abort', refused);
        resolve(true);
      };
      const refused = (): void => {
        const index = this.#queue.indexOf(granted);
        if (index < 0) return;
        this.#queue.splice(index, 1);
        resolve(false);
      };
      this.#queue.push(granted);
      signal.addEventListener('abort', refused, { once: true });
    });
  }

  give(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
