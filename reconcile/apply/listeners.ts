/** Who wants to know of changes, by the key of the object. */
export class Listeners {
  readonly #byKey = new Map<string, Set<() => void>>();

  /** Calls `listener` at each telling of the key, until the returned function is called. */
  add(key: string, listener: () => void): () => void {
    const listeners = this.#byKey.get(key) ?? new Set();
    this.#byKey.set(key, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#byKey.delete(key);
    };
  }

  /** Keys that somebody listens for. */
  keys(): Iterable<string> {
    return this.#byKey.keys();
  }

  tell(key: string): void {
    for (const listener of this.#byKey.get(key) ?? []) listener();
  }
}
