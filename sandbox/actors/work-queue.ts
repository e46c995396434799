/** A queue of keys as controllers have it: a key is never worked on twice at a time, and a failure is tried again. */

const firstRetryMs = 5;
const longestRetryMs = 1000;
const workers = 32;

export class WorkQueue {
  readonly #process: (key: string) => Promise<void>;
  readonly #waiting = new Set<string>();
  readonly #active = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #failures = new Map<string, number>();
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(process: (key: string) => Promise<void>) {
    this.#process = process;
  }

  add(key: string): void {
    if (this.#closed) return;
    this.#waiting.add(key);
    this.#pump();
  }

  /** Adds the key once more than `milliseconds` have passed; the earlier of two such wishes wins. */
  addAfter(key: string, milliseconds: number): void {
    if (this.#closed) return;
    if (milliseconds <= 0) {
      this.add(key);
      return;
    }
    const timerKey = `${key} ${milliseconds}`;
    if (this.#timers.has(timerKey)) return;
    this.#timers.set(
      timerKey,
      setTimeout(() => {
        this.#timers.delete(timerKey);
        this.add(key);
      }, milliseconds),
    );
  }

  /** Takes no more keys, and resolves when those being worked on are done. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    if (this.#active.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  #pump(): void {
    for (const key of this.#waiting) {
      if (this.#active.size >= workers) return;
      if (this.#active.has(key)) continue;
      this.#waiting.delete(key);
      this.#active.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#process(key);
      this.#failures.delete(key);
    } catch {
      const failures = this.#failures.get(key) ?? 0;
      this.#failures.set(key, failures + 1);
      this.addAfter(key, Math.min(firstRetryMs * 2 ** failures, longestRetryMs));
    } finally {
      this.#active.delete(key);
      if (this.#active.size === 0) this.#idle?.();
      this.#pump();
    }
  }
}
