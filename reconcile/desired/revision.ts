/** How a record, an annotation or a comment calls the revision of a desired state. */
import type { SourceIdentity } from './model.ts';

/** `main@sha1:3f2a…` for git, `sha256:…` for a folder. */
export function revision(source: SourceIdentity): string {
  return source.kind === 'git' ? `${source.ref}@sha1:${source.commit}` : source.digest;
}
