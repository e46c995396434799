/** The input that a worker has in hand, where the thread that watches it can read it. */

/** Two numbers, count and length, then the characters. */
const headerBytes = 8;
const mostCharacters = 500_000;

export function sharedInput(): SharedArrayBuffer {
  return new SharedArrayBuffer(headerBytes + mostCharacters * 2);
}

export function writeInput(memory: SharedArrayBuffer, input: string): void {
  const header = new Int32Array(memory, 0, 2);
  const length = Math.min(input.length, mostCharacters);
  const characters = new Uint16Array(memory, headerBytes, length);
  for (let index = 0; index < length; index += 1) characters[index] = input.charCodeAt(index);
  Atomics.store(header, 1, length);
  Atomics.add(header, 0, 1);
}

/** How many inputs there were, and the last. */
export function readInput(memory: SharedArrayBuffer): { readonly count: number; readonly input: () => string } {
  const header = new Int32Array(memory, 0, 2);
  return {
    count: Atomics.load(header, 0),
    input: () => {
      const characters = new Uint16Array(memory, headerBytes, Atomics.load(header, 1));
      let text = '';
      for (const code of characters) text += String.fromCharCode(code);
      return text;
    },
  };
}
