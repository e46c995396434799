/** The files of one commit, read from an object store; never through a work tree. */
import git, { type TreeObject } from 'isomorphic-git';
import { PatchpanelError } from '../errors.ts';
import { fileTooLarge, type TreeEntry, type TreeReader } from './source-tree.ts';

/** Objects by their ids; both throw what patchpanel knows. */
export interface ObjectAccess {
  tree(oid: string): Promise<TreeObject>;
  blob(oid: string): Promise<Uint8Array>;
}

/** @param root id of the tree of the commit */
export function treeReader(root: string, objects: ObjectAccess): TreeReader {
  const trees = new Map([['', root]]);
  const blobs = new Map<string, string>();
  return {
    async readDirectory(path) {
      const oid = trees.get(path);
      if (oid === undefined) throw new PatchpanelError('internal', `${path} was not listed before it was read`);
      const tree = await objects.tree(oid);
      return tree.map(({ mode, path: name, oid: child }): TreeEntry => {
        const below = path === '' ? name : `${path}/${name}`;
        switch (mode) {
          case '040000':
            trees.set(below, child);
            return { name, kind: 'directory' };
          case '120000':
            return { name, kind: 'link' };
          case '160000':
            return { name, kind: 'submodule' };
          default:
            blobs.set(below, child);
            return { name, kind: 'file' };
        }
      });
    },
    async readFile(path, maxBytes) {
      const oid = blobs.get(path);
      if (oid === undefined) throw new PatchpanelError('internal', `${path} was not listed before it was read`);
      const content = await objects.blob(oid);
      if (content.length > maxBytes) throw fileTooLarge(path, maxBytes);
      return content;
    },
  };
}

/** What is wrong with an object, wherever it is from; undefined for what is no fault of the object. */
export function objectFault(error: unknown): PatchpanelError | undefined {
  if (error instanceof git.Errors.ObjectTypeError) {
    return new PatchpanelError('git/unknown-ref', 'the ref does not lead to a commit', { cause: error });
  }
  if (error instanceof git.Errors.UnsafeFilepathError) {
    return new PatchpanelError('source/unsafe-path', 'the commit has a file or directory with an unsafe name', {
      remedy: 'Rename what is called `.`, `..` or `.git`, or has a slash or backslash in its name.',
      cause: error,
    });
  }
  return undefined;
}
