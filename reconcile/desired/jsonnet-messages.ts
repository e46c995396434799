/** What the evaluating child process and its parent say to each other. */

export interface JsonnetJob {
  /** Path of the entry file below the working directory. */
  readonly file: string;
  readonly libraryPath: string;
  readonly extStr: Readonly<Record<string, string>>;
  readonly extCode: Readonly<Record<string, string>>;
  readonly tlaStr: Readonly<Record<string, string>>;
  readonly tlaCode: Readonly<Record<string, string>>;
  /** Characters of the result. */
  readonly maxOutput: number;
}

export type JsonnetReply =
  /** The addon is loaded, and jobs are welcome. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'unavailable'; readonly reason: string }
  | { readonly kind: 'result'; readonly json: string }
  /** As libjsonnet words it. */
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'tooLarge' };
