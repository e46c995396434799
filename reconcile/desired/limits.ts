/** How much of a repository patchpanel is willing to read; every limit has a message that names it. */
export interface Limits {
  /** Files that are read, imports included. */
  readonly maxFiles: number;
  /** Bytes of one file. */
  readonly maxFileBytes: number;
  /** Bytes of all files together. */
  readonly maxTotalBytes: number;
  /** Directory entries that are looked at, read or not. */
  readonly maxEntries: number;
  /** Bytes that a git host may send in one load. */
  readonly maxWireBytes: number;
  /** Objects in what a git host sends. */
  readonly maxObjects: number;
  /** Bytes of all git objects, unpacked. */
  readonly maxUnpackedBytes: number;
}

/** Room for a fleet of 10,000 VMs with a file each, several times over. */
export const defaultLimits: Limits = {
  maxFiles: 50_000,
  maxFileBytes: 16 * 2 ** 20,
  maxTotalBytes: 64 * 2 ** 20,
  maxEntries: 200_000,
  maxWireBytes: 64 * 2 ** 20,
  maxObjects: 500_000,
  maxUnpackedBytes: 256 * 2 ** 20,
};
