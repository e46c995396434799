/** Which commit was applied to an object last, and when: annotations in the same patch as the change. */
import type { KubeObject, PatchOperation } from '../kube/cluster.ts';
import { appliedAtAnnotation, appliedCommitAnnotation, heldAnnotation } from '../systems/patchpanel.ts';

export interface Stamp {
  /** `main@sha1:…`, or the digest of a folder. */
  readonly commit: string;
  readonly at: Date;
}

const annotationsPath = '/metadata/annotations';
export const heldPath = pathOf(heldAnnotation);

/**
 * The patch with the annotations added, and without the mark that it was held: what is changed is tried. One that changes
 * nothing gets none.
 */
export function stamped(
  operations: readonly PatchOperation[],
  { metadata }: KubeObject,
  { commit, at }: Stamp,
): readonly PatchOperation[] {
  if (operations.length === 0) return operations;
  const marks = {
    [appliedCommitAnnotation]: commit,
    // Whole seconds, as Kubernetes writes times.
    [appliedAtAnnotation]: `${at.toISOString().slice(0, 19)}Z`,
  };
  const hasMap =
    metadata.annotations !== undefined || operations.some(({ op, path }) => op === 'add' && path === annotationsPath);
  if (!hasMap) {
    // `add` below a map that is missing is refused.
    return [
      ...operations,
      { op: 'test', path: annotationsPath, value: null },
      { op: 'add', path: annotationsPath, value: marks },
    ];
  }
  return [
    ...operations,
    ...Object.entries(marks).map(([key, value]): PatchOperation => ({ op: 'add', path: pathOf(key), value })),
    ...(metadata.annotations?.[heldAnnotation] === undefined || operations.some(({ path }) => path === heldPath)
      ? []
      : [{ op: 'remove', path: heldPath } as const]),
  ];
}

function pathOf(annotation: string): string {
  return `${annotationsPath}/${annotation.replaceAll('/', '~1')}`;
}
